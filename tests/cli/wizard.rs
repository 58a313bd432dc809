//! The wizard as a person meets it, in a real pseudo-terminal.

use crate::support::terminal::{Key, Terminal};
use crate::{home, moto};

#[test]
fn ctrl_c_ends_with_130_and_ctrl_d_with_3() {
    for (key, code) in [(Key::CtrlC, 130), (Key::CtrlD, 3)] {
        let account = moto().seeded_account();
        let home = home().credentials(&account.bootstrap);
        let mut terminal = Terminal::start(&home.command(&["setup", "--store", "file"]), 80);
        terminal.wait_for("What should CloudStudio use?");
        terminal.press(key);
        assert_eq!(terminal.exit().0, code);
        assert_eq!(account.changing_calls(), [""; 0]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_keyring_holds_the_cloudstudio_document() {
    let service = crate::support::secret_service::SecretService::start();
    let account = moto().seeded_account();
    let home = home()
        .credentials(&account.bootstrap)
        .variables(service.environment());
    let setup = [
        "setup",
        "--yes",
        "--mode",
        "iam-user",
        "--user-name",
        "ana",
        "--store",
        "keyring",
    ];
    home.run(&setup).expect(0);
    let document = service
        .lookup("CloudStudio", "aws/ana")
        .expect("it is in the keyring");
    let document: serde_json::Value =
        serde_json::from_str(&document).expect("the CloudStudio JSON");
    assert!(document["secret_key"].is_string());
}
