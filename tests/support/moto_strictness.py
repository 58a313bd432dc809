"""What AWS refuses and moto 5.2 lets pass, as far as cloudcred meets it.

Each function names one difference; when moto learns it, the function goes.
"""

import json
import re
import unicodedata
from datetime import UTC, datetime

from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam import access_control, models, responses
from moto.iam.exceptions import (
    DeleteConflictException,
    IAMException,
    InvalidTagCharacters,
    TagKeyTooBig,
    TagValueTooBig,
    ValidationError,
)

# moto builds every policy again for each account and each of eight partitions: a tenth of a second
# each for all 1,500 of them, none for the few that are in use here.
POLICIES_KEPT = [
    "AdministratorAccess",
    "IAMFullAccess",
    "IAMReadOnlyAccess",
    "IAMUserChangePassword",
    "PowerUserAccess",
    "ReadOnlyAccess",
]

# What AWS asks of a console password where the account has no policy of its own.
DEFAULT_MINIMUM_LENGTH = 8
DEFAULT_KINDS = 3


def keep_few_managed_policies():
    everything = json.loads(models.aws_managed_policies_data)
    models.aws_managed_policies_data = json.dumps({name: everything[name] for name in POLICIES_KEPT})


def refuse_inactive_access_keys():
    """AWS answers InvalidClientTokenId, as for a key that does not exist."""
    find = access_control.IAMUserAccessKey.__init__

    def find_active(self, account_id, partition, access_key_id, headers):
        find(self, account_id, partition, access_key_id, headers)
        user = self.backend.get_user(self._owner_user_name)
        if user.get_access_key_by_id(access_key_id).status != "Active":
            raise access_control.CreateAccessKeyFailure(reason="InvalidId")

    access_control.IAMUserAccessKey.__init__ = find_active


def refuse_malformed_names_and_tags():
    """Those of users, which moto takes as they come."""
    create, tag = models.IAMBackend.create_user, models.IAMBackend.tag_user

    def create_checked(self, region_name, user_name, path="/", tags=None):
        if not re.fullmatch(r"[A-Za-z0-9_+=,.@-]{1,64}", user_name):
            raise ValidationError(
                "The specified value for userName is invalid. It must contain only alphanumeric "
                "characters and/or the following: +=,.@_-"
            )
        check_tags(tags or [])
        return create(self, region_name, user_name, path, tags)

    def tag_checked(self, name, tags):
        check_tags(tags)
        tag(self, name, tags)

    models.IAMBackend.create_user, models.IAMBackend.tag_user = create_checked, tag_checked


def check_tags(tags):
    for tag in tags:
        if len(tag["Key"]) > 128:
            raise TagKeyTooBig(tag["Key"])
        if len(tag["Value"]) > 256:
            raise TagValueTooBig(tag["Value"])
        for part, param in [("Key", "tags.X.member.key"), ("Value", "tags.X.member.value")]:
            # AWS's [\p{L}\p{Z}\p{N}_.:/=+\-@]*, which Python's patterns cannot say.
            if not all(unicodedata.category(char)[0] in "LZN" or char in "_.:/=+-@" for char in tag[part]):
                raise InvalidTagCharacters(tag[part], param)


def refuse_to_delete_users_in_use():
    """AWS wants access keys and the login profile deleted first, as it does policies."""
    delete = models.IAMBackend.delete_user

    def delete_unused(self, user_name):
        user = self.get_user(user_name)
        if user.access_keys:
            raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
        if user.password:
            raise DeleteConflictException("Cannot delete entity, must delete login profile first.")
        delete(self, user_name)

    models.IAMBackend.delete_user = delete_unused


def date_login_profiles():
    """moto gives them the date of their user, by which a second one could not be told from the first."""
    create, create_answer, get_answer = (
        models.IAMBackend.create_login_profile,
        responses.IamResponse.create_login_profile,
        responses.IamResponse.get_login_profile,
    )

    def create_dated(self, user_name, password):
        user = create(self, user_name, password)
        user.login_profile_created = datetime.now(UTC).replace(tzinfo=None)
        return user

    def dated(answer):
        def answer_dated(self):
            result = answer(self)
            profile = result.result["LoginProfile"]
            profile["CreateDate"] = self.backend.get_user(profile["UserName"]).login_profile_created
            return result

        return answer_dated

    models.IAMBackend.create_login_profile = create_dated
    responses.IamResponse.create_login_profile = dated(create_answer)
    responses.IamResponse.get_login_profile = dated(get_answer)


def enforce_password_policy():
    """On CreateLoginProfile and UpdateLoginProfile: the account's policy, else AWS's default one."""
    create, update = models.IAMBackend.create_login_profile, models.IAMBackend.update_login_profile

    def create_checked(self, user_name, password):
        check_password(self.account_password_policy, password)
        return create(self, user_name, password)

    def update_checked(self, user_name, password, *rest):
        if password:
            check_password(self.account_password_policy, password)
        return update(self, user_name, password, *rest)

    models.IAMBackend.create_login_profile = create_checked
    models.IAMBackend.update_login_profile = update_checked


def check_password(policy, password):
    lowercase = any("a" <= char <= "z" for char in password)
    uppercase = any("A" <= char <= "Z" for char in password)
    number = any("0" <= char <= "9" for char in password)
    symbol = any(char in "!@#$%^&*()_+-=[]{}|'" for char in password)
    if policy is None:
        conforms = (
            len(password) >= DEFAULT_MINIMUM_LENGTH
            and lowercase + uppercase + number + symbol >= DEFAULT_KINDS
        )
    else:
        conforms = (
            len(password) >= policy.minimum_password_length
            and (lowercase or not policy.require_lowercase_characters)
            and (uppercase or not policy.require_uppercase_characters)
            and (number or not policy.require_numbers)
            and (symbol or not policy.require_symbols)
        )
    if not conforms or len(password) > 128:
        # Not a class of its own: moto finds the service that an error belongs to by where it is defined.
        raise IAMException(
            "PasswordPolicyViolation", "Password does not conform to the account password policy."
        )


def accept_unsigned_web_identity_calls():
    """The token is their proof; moto looks for a signature all the same."""
    check = ActionAuthenticatorMixin._authenticate_and_authorize_normal_action

    def check_signed(self, resource="*"):
        if self._get_action() != "AssumeRoleWithWebIdentity":
            check(self, resource)

    ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = check_signed


def apply():
    accept_unsigned_web_identity_calls()
    refuse_malformed_names_and_tags()
    refuse_inactive_access_keys()
    refuse_to_delete_users_in_use()
    date_login_profiles()
    enforce_password_policy()
