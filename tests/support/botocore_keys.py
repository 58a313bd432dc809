"""Says for each home below a folder which access key ID botocore uses there by default, `none`, or `fails`."""

import json
import os
import pathlib
import sys

from awscli.botocore import session as sessions


def key(home):
    os.environ["AWS_CONFIG_FILE"] = str(home / ".aws" / "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(home / ".aws" / "credentials")
    try:
        session = sessions.Session()
        session.get_config_variable("region")
        credentials = session.get_credentials()
    # What goes wrong has as many types as causes.
    except Exception:  # noqa: BLE001
        return "fails"
    return credentials.access_key if credentials else "none"


for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
print(json.dumps({home.name: key(home) for home in pathlib.Path(sys.argv[1]).iterdir()}))
