//! Networks that people have: a proxy as the only way out, and certificates of their company's.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::common::moto;
use crate::support::home::Home;
use crate::support::moto::KeyPair;
use crate::support::{process, python};

/// The proxy of `tests/support/proxy_server.py`, whose authority is in `ca.pem` of its folder.
struct ForwardProxy {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    asked_for: mpsc::Receiver<String>,
}

impl ForwardProxy {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/proxy_server.py");
        let mut command = python::moto().python();
        let mut child = command
            .arg(script)
            .arg(folder.path())
            .arg(moto().address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = output.next().expect("it prints its port").expect("a line");
        let ready: serde_json::Value = serde_json::from_str(&first).expect("JSON");
        let port = ready["port"].as_u64().and_then(|port| port.try_into().ok()).expect("a port");
        let (sender, asked_for) = mpsc::channel();
        thread::spawn(move || output.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        ForwardProxy { child, port, folder, asked_for }
    }

    fn certificates(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// A home without any endpoint of the harness, from which only the proxy leads out.
    fn home(&self, pair: &KeyPair) -> Home {
        Home::new(env!("CARGO_BIN_EXE_cloudcred"))
            .credentials(pair)
            .variable("HTTPS_PROXY", &format!("http://127.0.0.1:{}", self.port))
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        if process::wait(&mut self.child, Duration::from_secs(5)).is_none() {
            let _ = self.child.kill();
        }
    }
}

#[test]
fn everything_works_through_a_proxy_with_an_authority_of_its_own() {
    let account = moto().seeded_account();
    let proxy = ForwardProxy::start();
    let home = proxy.home(&account.bootstrap).variable("AWS_CA_BUNDLE", &proxy.certificates());
    home.run(&["check"]).expect(0);
    let host = proxy.asked_for.recv_timeout(Duration::from_secs(5)).expect("it was asked");
    assert_eq!(host, "sts.us-east-1.amazonaws.com:443");
    let setup = ["setup", "--mode", "iam-user", "--yes", "--no-input", "--store", "file"];
    home.run(&setup).expect(0);
    assert!(account.user("cloudstudio-admin").is_some());
    let add = ["secret", "add", "mine", "--store", "file", "--key-stdin"];
    home.run_with_stdin(
        &add,
        &format!("{}\n{}\n", account.bootstrap.access_key_id, account.bootstrap.secret_access_key),
    )
    .expect(0);
    home.run(&["undo", "--yes"]).expect(0);

    let by_profile = proxy.home(&account.bootstrap);
    by_profile.write(".aws/config", &format!("[default]\nca_bundle = {}\n", proxy.certificates()));
    by_profile.run(&["check"]).expect(0);
    let by_system = proxy.home(&account.bootstrap).variable("SSL_CERT_FILE", &proxy.certificates());
    by_system.run(&["check"]).expect(0);
}

#[test]
fn what_is_wrong_with_the_network_is_told_with_the_setting_that_cures_it() {
    let account = moto().seeded_account();
    let proxy = ForwardProxy::start();
    let unknown = proxy.home(&account.bootstrap).run(&["check"]).expect(4);
    assert!(unknown.stdout.contains("AWS_CA_BUNDLE"), "{unknown}");
    let missing = proxy.home(&account.bootstrap).variable("AWS_CA_BUNDLE", "/nowhere/ca.pem");
    let missing = missing.run(&["check"]).expect(4);
    assert!(missing.stderr.contains("/nowhere/ca.pem"), "{missing}");
    let dead = proxy.home(&account.bootstrap).variable("HTTPS_PROXY", "http://127.0.0.1:1");
    let dead = dead.run(&["check"]).expect(4);
    assert!(dead.stdout.contains("HTTPS_PROXY"), "{dead}");
    let around = proxy.home(&account.bootstrap).variable("NO_PROXY", "amazonaws.com");
    around.run(&["check"]).expect(4);
    let asked: Vec<_> = proxy.asked_for.try_iter().collect();
    assert!(asked.iter().all(|host| host.ends_with("amazonaws.com:443")), "{asked:?}");
}

#[test]
fn no_profile_is_signed_to_the_endpoint_of_another() {
    let account = moto().seeded_account();
    let home = Home::new(env!("CARGO_BIN_EXE_cloudcred"));
    let (own, pair) = (moto().url(), &account.bootstrap);
    let keys = |pair: &KeyPair| {
        let (id, secret) = (&pair.access_key_id, &pair.secret_access_key);
        format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
    };
    home.write(
        ".aws/config",
        &format!(
            "[default]\nendpoint_url = http://127.0.0.1:1\n{0}[profile own]\nendpoint_url = {own}\n{0}\
             [profile services]\nservices = here\n{0}[services here]\nsts =\n  endpoint_url = {own}\n\
             iam =\n  endpoint_url = {own}\n",
            keys(pair)
        ),
    );
    let checked = home.run(&["check", "--output", "json"]).expect(0).json();
    let status = |name: &str| {
        let profiles = checked["profiles"].as_array().expect("a list");
        let profile = profiles.iter().find(|it| it["name"] == name).expect("listed");
        profile["status"].as_str().expect("a word").to_owned()
    };
    assert_eq!(status("default"), "unreachable");
    assert_eq!((status("own"), status("services")), ("valid".to_owned(), "valid".to_owned()));
}
