import uuid

from django import forms

from photos import filters
from photos.incoming import IncomingImage


class UploadForm(forms.Form):
    upload_id = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    title = forms.CharField(max_length=120)
    album = forms.CharField(max_length=80)
    look = forms.ChoiceField(choices=filters.choices, required=False)
    image = forms.FileField()

    def clean_image(self):
        return IncomingImage.read(self.cleaned_data["image"])
