//! What the program finds in the sandbox: an AWS account with a user, and a home with four profiles.
//! One profile of each kind that people have: working, deleted, a role, an expired sign-in.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::support::home::Home;
use crate::support::moto::{ADMINISTRATOR_ACCESS, Account, Moto};
use crate::support::parts::Part;
use crate::support::signin::{self, SignInServer};

const ACCOUNT: &str = "111122223333";
const USER: &str = "ana";
const ROLE: &str = "deploy";

/// What tells the program about the person's terminal and taste, and nothing about their AWS.
const INHERITED: &[&str] =
    &["TERM", "COLORTERM", "NO_COLOR", "CLICOLOR", "LANG", "LC_ALL", "LC_CTYPE"];

/// Everything that must live while the program runs.
pub struct Scene {
    moto: Moto,
    pub account: Account,
    pub home: Home,
    #[cfg(target_os = "linux")]
    keyring: Option<crate::support::secret_service::SecretService>,
}

impl Scene {
    pub fn set(program: PathBuf) -> Scene {
        let moto = Moto::start();
        let account = moto.account(ACCOUNT);
        account.create_user(USER);
        account.attach_policy(USER, ADMINISTRATOR_ACCESS);
        account.create_role(
            ROLE,
            &format!("arn:aws:iam::{ACCOUNT}:user/{USER}"),
            ADMINISTRATOR_ACCESS,
        );
        let home = Home::new(program)
            .endpoint(&moto.url())
            .variable("AWS_ENDPOINT_URL_SIGNIN", &SignInServer::start(&account).url());
        // The person's own browser would make itself a profile in this home.
        let browser = signin::browser(&home);
        let home = home.variable("BROWSER", &browser);
        write_profiles(&account, &home);
        #[cfg(target_os = "linux")]
        {
            use crate::support::secret_service::SecretService;
            // Not the person's own keyring: either one that is thrown away too, or none.
            let keyring = Part::Keyring.is_installed().then(SecretService::start);
            let variables = keyring.as_ref().map(SecretService::environment).unwrap_or_default();
            Scene { moto, account, home: home.variables(variables), keyring }
        }
        #[cfg(not(target_os = "linux"))]
        Scene { moto, account, home }
    }

    /// The program with its arguments, to run in this terminal.
    pub fn command(&self, arguments: &[String]) -> Command {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.home.command(&arguments);
        // Tests have it set to catch stack traces; people do not.
        command.env_remove("RUST_BACKTRACE");
        for name in INHERITED {
            match env::var_os(name) {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    pub fn introduction(&self) -> String {
        format!(
            "sandbox: AWS account {ACCOUNT}, which exists only on this machine, at\n\
             {url}, and a throw-away home folder with four AWS profiles.\n\
             Your own AWS settings are not read, nothing real is touched, and all of it\n\
             is gone at the end. {keyring} A browser sign-in there signs in by itself.",
            url = self.moto.url(),
            keyring = self.about_keyring(),
        )
    }

    #[cfg(target_os = "linux")]
    fn about_keyring(&self) -> &'static str {
        if self.keyring.is_some() {
            "So is the keyring, which is the sandbox's own."
        } else {
            "There is no keyring: choose the file store."
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn about_keyring(&self) -> &'static str {
        "One exception: with the keyring as store, the\n\
         pair, worthless elsewhere, stays in your own keyring, service CloudStudio."
    }
}

fn write_profiles(account: &Account, home: &Home) {
    let pair = account.create_access_key(USER);
    home.write(
        ".aws/credentials",
        &format!(
            "[default]\n\
             aws_access_key_id = {}\n\
             aws_secret_access_key = {}\n\
             \n\
             # Its key was deleted long ago.\n\
             [old]\n\
             aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n\
             aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            pair.access_key_id, pair.secret_access_key
        ),
    );
    home.write(
        ".aws/config",
        &format!(
            "[default]\n\
             region = us-east-1\n\
             \n\
             [profile ci]\n\
             role_arn = arn:aws:iam::{ACCOUNT}:role/{ROLE}\n\
             source_profile = default\n\
             region = us-east-1\n\
             \n\
             [profile client-x]\n\
             sso_session = client-x\n\
             sso_account_id = 444455556666\n\
             sso_role_name = PowerUser\n\
             region = us-east-1\n\
             \n\
             [sso-session client-x]\n\
             sso_start_url = https://client-x.awsapps.com/start\n\
             sso_region = us-east-1\n\
             sso_registration_scopes = sso:account:access\n"
        ),
    );
}
