//! What the run left behind: the users that IAM holds now, and the files of the throw-away home.
//! Names and facts only; never the contents of a file or a secret.

use std::fmt::Write;
use std::path::Path;

use crate::scene::Scene;
use crate::support::moto::UserState;

pub fn of(scene: &Scene) -> String {
    let mut text = format!("sandbox: IAM account {} now holds\n", scene.account.id);
    for user in scene.account.users().values() {
        describe_user(&mut text, user);
    }
    text += "\nand the home folder, now deleted, held\n";
    for file in scene.home.files() {
        let relative = file.strip_prefix(scene.home.path()).unwrap_or(&file);
        let _ = writeln!(text, "  {}{}", mode(&file), relative.display());
    }
    text += "\nEach start has a new account and a new home: what cloudcred names above is for a real run.";
    text
}

fn describe_user(text: &mut String, user: &UserState) {
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "    {label:<20}{value}");
    };
    line("user", &user.arn);
    for policy in &user.attached_policies {
        line("  policy", policy);
    }
    for (id, status) in &user.access_keys {
        line("  access key", &format!("{id}  {status}"));
    }
    line("  console password", if user.has_login_profile() { "yes" } else { "no" });
    for (key, value) in &user.tags {
        line("  tag", &format!("{key} = {value}"));
    }
}

/// The permissions as `ls` counts them, where the system has such.
#[cfg(unix)]
fn mode(file: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).map(|metadata| metadata.permissions().mode());
    mode.map_or_else(|_| "????  ".into(), |mode| format!("{:04o}  ", mode & 0o7777))
}

#[cfg(not(unix))]
fn mode(_: &Path) -> String {
    String::new()
}
