"""Django's commands for the pages."""
import sys

from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(ALLOWED_HOSTS=["*"], DEBUG=True, ROOT_URLCONF="pages", SECRET_KEY="of a test")
execute_from_command_line(sys.argv)
