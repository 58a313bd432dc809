//! The external program of a profile (`credential_process`), run as aws-config runs it
//! (`credential_process.rs`), but with a limit on what it may print.

use std::process::Stdio;

use aws_credential_types::Credentials;
use aws_credential_types::credential_fn::provide_credentials_fn;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::aws::unusable::PROGRAM_FAILED;

const LONGEST_OUTPUT: u64 = 1024 * 1024;

/// How many lines of a program that failed are told: the cause comes last.
const COMPLAINTS: usize = 3;

/// Runs the command, which may contain a secret, each time that credentials are asked for.
pub fn program(command: &str) -> impl ProvideCredentials + use<> {
    let command = SecretString::from(command);
    provide_credentials_fn(move || {
        let command = command.clone();
        async move { run(command.expose_secret()).await }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: u8,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<Timestamp>,
}

async fn run(command: &str) -> provider::Result {
    let failed = |why: &str| CredentialsError::provider_error(format!("{PROGRAM_FAILED}{why}"));
    let output = output(command).await.map_err(|error| failed(&error.to_string()))?;
    // serde's messages may quote the secret.
    let document = serde_json::from_slice::<Document>(&output).ok();
    let document = document
        .filter(|document| document.version == 1)
        .ok_or_else(|| failed("it printed something other than credentials of version 1"))?;
    Ok(Credentials::new(
        document.access_key_id,
        document.secret_access_key,
        document.session_token,
        document.expiration.and_then(|time| time.try_into().ok()),
        "credential_process",
    ))
}

/// Ends with the program's last lines of complaint where it fails, or with its exit code.
async fn output(command: &str) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut child = shell(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (output, complaint, status) = tokio::try_join!(read(stdout), read(stderr), child.wait())?;
    if status.success() {
        return Ok(output);
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let mut last: Vec<&str> = complaint.lines().rev().filter(|it| !it.trim().is_empty()).collect();
    last.truncate(COMPLAINTS);
    last.reverse();
    let why = if last.is_empty() { status.to_string() } else { last.join("; ") };
    Err(std::io::Error::other(why))
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    if let Some(stream) = stream {
        stream.take(LONGEST_OUTPUT + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > LONGEST_OUTPUT {
        return Err(std::io::Error::other("it printed more than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]);
    shell
}

/// Without the C runtime's escapes, which `cmd.exe` does not understand.
#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd.exe");
    shell.arg("/C").raw_arg(format!("\"{command}\""));
    shell
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::aws::failure::deepest;

    #[tokio::test]
    async fn a_document_becomes_credentials() {
        let document = r#"echo '{"Version":1,"AccessKeyId":"AKIA","SecretAccessKey":"s",
            "SessionToken":"t","Expiration":"2026-11-25T00:00:00Z","More":2}'"#;
        let credentials = run(document).await.expect("complete");
        assert_eq!(credentials.access_key_id(), "AKIA");
        assert_eq!(credentials.session_token(), Some("t"));
        assert!(credentials.expiry().is_some());
    }

    #[tokio::test]
    async fn failures_are_named_and_quote_no_output() {
        for (command, why) in [
            ("echo no >&2; exit 1", "no"),
            ("seq 5 >&2; exit 1", "3; 4; 5"),
            ("exit 3", "exit status: 3"),
            ("echo '{\"Version\":2}'", "it printed something other than credentials of version 1"),
            ("yes", "it printed more than 1 MiB"),
            ("yes >&2", "it printed more than 1 MiB"),
        ] {
            let error = run(command).await.expect_err(command);
            assert_eq!(deepest(&error), format!("{PROGRAM_FAILED}{why}"), "{command}");
        }
    }
}
