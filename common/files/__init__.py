"""Atomic writing and safe loading of files."""

from common.files.atomic import atomic_folder as atomic_folder
from common.files.atomic import atomic_path as atomic_path
from common.files.atomic import beside as beside
from common.files.atomic import check_writable as check_writable
from common.files.atomic import fitting_name as fitting_name
from common.files.atomic import read_json as read_json
from common.files.atomic import refusal as refusal
from common.files.atomic import remove_leftovers as remove_leftovers
from common.files.atomic import temporary_folder as temporary_folder
from common.files.atomic import write_json as write_json
from common.files.atomic import write_text as write_text
