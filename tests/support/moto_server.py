"""An IAM and STS server for tests: moto, refusing whatever AWS would refuse from the first request on.

Beside AWS's own API it answers POST /control/<account>/<operation>, by which the harness seeds and
inspects accounts without credentials and without going through the code under test.
With the argument `plain` it is moto as it comes, whose mistakes people's own servers share.
It prints its port as one line of JSON, and ends when its standard input does.
"""

import io
import json
import os
import signal
import sys
import threading
from collections import defaultdict
from urllib.parse import parse_qs

# Read by moto when it is imported. AdministratorAccess and its like exist only with this.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

import moto_strictness  # noqa: E402
from moto import settings  # noqa: E402
from moto.core.exceptions import ServiceException  # noqa: E402
from moto.iam.models import get_account_id_from, iam_backends  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sts.models import sts_backends  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

REGION = "us-east-1"


def iam_of(account):
    return iam_backends[account]["aws"]


def create_user(account, user):
    iam_of(account).create_user(REGION, user)


def create_access_key(account, user):
    key = iam_of(account).create_access_key(user)
    return {"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}


def set_access_key_status(account, user, access_key_id, status):
    iam_of(account).update_access_key(user, access_key_id, status)


def delete_access_key(account, user, access_key_id):
    iam_of(account).delete_access_key(access_key_id, user)


def attach_policy(account, user, policy_arn):
    iam_of(account).attach_user_policy(policy_arn, user)


def create_login_profile(account, user, password):
    iam_of(account).create_login_profile(user, password)


def delete_login_profile(account, user):
    iam_of(account).delete_login_profile(user)


def delete_user(account, user):
    iam_of(account).delete_user(user)


def allow(account, user, actions):
    """Gives the user an inline policy that allows these actions and no others."""
    iam_of(account).put_user_policy(user, "allowed", policy_document({"Action": actions, "Resource": "*"}))


def create_role(account, role, assumed_by, policy_arn):
    trust = policy_document({"Action": "sts:AssumeRole", "Principal": {"AWS": assumed_by}})
    iam = iam_of(account)
    iam.create_role(
        role_name=role,
        assume_role_policy_document=trust,
        permissions_boundary=None,
        path="/",
        description="",
        tags=[],
        max_session_duration="3600",
    )
    iam.attach_role_policy(policy_arn, role)


def assume_role(account, role, session):
    arn = f"arn:aws:iam::{account}:role/{role}"
    keys = sts_backends[account]["aws"].assume_role(REGION, session, arn, None, 900, None)
    return {
        "access_key_id": keys.access_key_id,
        "secret_access_key": keys.secret_access_key,
        "session_token": keys.session_token,
    }


def policy_document(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def set_password_policy(account, minimum_length, lowercase, uppercase, numbers, symbols):
    iam_of(account).update_account_password_policy(
        allow_change_password=True,
        hard_expiry=False,
        max_password_age=0,
        minimum_password_length=minimum_length,
        password_reuse_prevention=0,
        require_lowercase_characters=lowercase,
        require_numbers=numbers,
        require_symbols=symbols,
        require_uppercase_characters=uppercase,
    )


def users(account):
    """Everything the tests look at, by user name."""
    return {
        user.name: {
            "arn": user.arn,
            "tags": {tag["Key"]: tag["Value"] for tag in user.tags or []},
            "attached_policies": list(user.managed_policies),
            "access_keys": [[key.access_key_id, key.status] for key in user.access_keys],
            "console_password": user.password,
            "login_profile_created": str(getattr(user, "login_profile_created", None)),
            "inline_policies": list(user.policies),
        }
        for user in list(iam_of(account).users.values())
    }


class Server:
    """moto, with the control operations before it and a record of every call."""

    def __init__(self, plain):
        self.plain = plain
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.recorded = defaultdict(list)
        operations = [
            create_user, create_access_key, set_access_key_status, delete_access_key, attach_policy,
            allow, create_role, assume_role, set_password_policy, users, self.calls,
            create_login_profile, delete_login_profile, delete_user,
        ]  # fmt: skip
        self.operations = {operation.__name__: operation for operation in operations}

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        _, first, *rest = environ["PATH_INFO"].split("/")
        if first == "control":
            return self.control(*rest, body, start_response)
        self.record(environ, body)
        try:
            return self.moto(environ, start_response)
        except NotImplementedError as error:
            if self.plain:
                start_response("500 Internal Server Error", [("Content-Type", "text/html")])
                return [b"<!doctype html>\n<title>500 Internal Server Error</title>\n"]
            # AWS knows the action; a traceback among the tests' output would say nothing more.
            start_response("501 Not Implemented", [("Content-Type", "text/plain")])
            return [str(error).encode()]

    def control(self, account, operation, body, start_response):
        try:
            answer = self.operations[operation](account, **json.loads(body))
        except ServiceException as refusal:
            start_response("400 Bad Request", [("Content-Type", "text/plain")])
            return [f"{operation}: {refusal.code}: {refusal.message}".encode()]
        answer = json.dumps(answer).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))]
        start_response("200 OK", headers)
        return [answer]

    def record(self, environ, body):
        """Under the account that owns the key which signed the request, as moto decides it too."""
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        access_key_id = authorization.partition("Credential=")[2].partition("/")[0]
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        action = form.pop("Action", environ["PATH_INFO"])
        self.recorded[get_account_id_from(access_key_id)].append([action, form])

    def calls(self, account):
        return self.recorded[account]


class QuietRequestHandler(MotoRequestHandler):
    """Without a line per request: errors still reach stderr."""

    def log_request(self, *_):
        pass


def exit_with_stdin():
    """The one tie that also holds when the process that started us is killed."""
    sys.stdin.buffer.read()
    os._exit(0)


def main():
    # Ctrl-C in a terminal reaches every process in it. It is meant for the program under test.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=exit_with_stdin, daemon=True).start()
    plain = sys.argv[1:] == ["plain"]
    # That is for speed, and changes no answer.
    moto_strictness.keep_few_managed_policies()
    if not plain:
        moto_strictness.apply()
    # The number of requests that moto lets pass unchecked.
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    server = make_server("127.0.0.1", 0, Server(plain), threaded=True, request_handler=QuietRequestHandler)
    print(json.dumps({"port": server.server_port}), flush=True)
    # Nobody reads stdout after this line; what moto prints must not end in a broken pipe.
    sys.stdout = sys.stderr
    server.serve_forever()


if __name__ == "__main__":
    main()
