"""Reads every file of a folder as botocore does; prints the profiles of each, or null where it refuses."""

import json
import pathlib
import sys

from awscli.botocore import configloader


def profiles(path):
    try:
        found = configloader.load_config(str(path))["profiles"]
    except configloader.botocore.exceptions.ConfigParseError:
        return None
    # A nested value is a dictionary: its text says as much.
    return {name: {key: str(value) for key, value in keys.items()} for name, keys in found.items()}


files = pathlib.Path(sys.argv[1]).iterdir()
print(json.dumps({path.name: profiles(path) for path in files}))
