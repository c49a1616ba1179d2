"""A Flask application with a blueprint, sessions, templates, errors and streaming, asked through its test client."""
import logging

from flask import Blueprint, Flask, Response, g, jsonify, render_template_string, session

application = Flask(__name__)
application.secret_key = "x"
shop = Blueprint("shop", __name__, url_prefix="/shop")
logging.disable(logging.CRITICAL)


@application.before_request
def begin():
    g.seen = []


@shop.route("/<int:number>")
def item(number):
    session["last"] = number
    g.seen.append(number)
    return render_template_string("<p>{{ number }} {{ session.last }}</p>", number=number)


@shop.route("/stream")
def stream():
    return Response(("line %d\n" % line for line in range(20)), mimetype="text/plain")


@shop.route("/broken")
def broken():
    raise ValueError("no")


@application.errorhandler(ValueError)
def failed(error):
    return jsonify(error=str(error)), 500


application.register_blueprint(shop)
count = 0


def step(n):
    global count
    for _ in range(n):
        count += 1
        client = application.test_client()
        assert client.get("/shop/%d" % count).status_code == 200
        assert client.get("/shop/stream").data
        assert client.get("/shop/broken").status_code == 500
