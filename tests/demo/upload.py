"""Uploads pictures to the demo application over HTTP, as a browser does.

    upload.py URL COUNT

For each picture: the upload page, its form sent back with the picture in it, the page that this leads to, and the
thumbnail on that page. Now and then somebody looks at the front page.
"""

import http.cookiejar
import io
import random
import re
import sys
import urllib.request
import uuid

from PIL import Image, ImageDraw

# The pictures are as different as those of a camera roll: each width and height occurs once, and each second is a PNG.
SIZES = [(480 + 16 * n, 360 + 8 * n) for n in range(24)]
LOOKS = ["", "grey", "vivid", "soft", "crisp"]


def picture(number):
    """A sky, hills and some grain: small enough to be quick, with enough in it not to compress to nothing."""
    width, height = SIZES[number % len(SIZES)]
    rng = random.Random(number % len(SIZES))
    sky = Image.linear_gradient("L").resize((width, height))
    image = Image.merge("RGB", [sky.point(lambda v, k=k: min(255, 40 * k + v // 2)) for k in (1, 2, 3)])
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y, radius = rng.randrange(width), rng.randrange(height // 2, height), rng.randrange(20, 90)
        green = rng.randrange(60, 200)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(green // 3, green, green // 4))
    noise = bytes(rng.getrandbits(8) for _ in range(96 * 96))
    grain = Image.frombytes("L", (96, 96), noise).resize((width, height)).convert("RGB")
    image = Image.blend(image, grain, 0.15)
    buffer = io.BytesIO()
    if number % 2:
        image.save(buffer, "PNG")
        return "holiday-%03d.png" % number, "image/png", buffer.getvalue()
    image.save(buffer, "JPEG", quality=90)
    return "holiday-%03d.jpg" % number, "image/jpeg", buffer.getvalue()


def multipart(fields, file_field, name, content_type, data):
    boundary = uuid.uuid4().hex
    parts = []
    for key, value in fields.items():
        parts.append('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary, key, value))
    parts.append(
        '--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\nContent-Type: %s\r\n\r\n'
        % (boundary, file_field, name, content_type)
    )
    body = "".join(parts).encode() + data + ("\r\n--%s--\r\n" % boundary).encode()
    return body, "multipart/form-data; boundary=" + boundary


class Browser:
    def __init__(self, url):
        self.url = url.rstrip("/")
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        # No proxy: the server is on this machine, whatever the environment says.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def get(self, path):
        with self.opener.open(self.url + path, timeout=30) as answer:
            return answer.read()

    def upload(self, number):
        page = self.get("/upload/").decode()
        name, content_type, data = picture(number)
        fields = {
            "csrfmiddlewaretoken": hidden(page, "csrfmiddlewaretoken"),
            "upload_id": hidden(page, "upload_id"),
            "title": "Holiday, day %d" % (number % 24 + 1),
            "album": "Holidays",
            "look": LOOKS[number % len(LOOKS)],
        }
        body, body_type = multipart(fields, "image", name, content_type, data)
        request = urllib.request.Request(self.url + "/upload/", body, {"Content-Type": body_type})
        with self.opener.open(request, timeout=60) as answer:
            stored = answer.read().decode()
        self.get(re.search(r'src="(/photos/\d+/thumb/)"', stored).group(1))
        return len(data)


def hidden(page, name):
    return re.search(r'name="%s" value="([^"]+)"' % name, page).group(1)


def main():
    url, count = sys.argv[1], int(sys.argv[2])
    browser = Browser(url)
    sent = 0
    for number in range(count):
        sent += browser.upload(number)
        if number % 8 == 7:
            browser.get("/")
    print("%d images, %.1f MB" % (count, sent / 1e6))


if __name__ == "__main__":
    main()
