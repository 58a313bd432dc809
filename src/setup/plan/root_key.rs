//! The plans that take a root key out of use, each of a run of its own.

use crate::setup::plan::{Goal, Plan};
use crate::setup::step::Step;

/// How the root key is retired, once the user's pair is kept: never before that pair is proven to be an
/// administrator's, and proven again afterwards.
pub fn retirement(root_key_id: &str, goal: &Goal) -> Plan {
    Plan {
        goal: goal.clone(),
        steps: vec![
            Step::Verify { reads_iam: true },
            Step::DeactivateRootKey {
                access_key_id: root_key_id.to_owned(),
            },
            Step::Verify { reads_iam: true },
        ],
        warnings: Vec::new(),
    }
}

/// What follows only when somebody says so once more.
pub fn deletion(root_key_id: &str, goal: &Goal) -> Plan {
    Plan {
        goal: goal.clone(),
        steps: vec![
            Step::Verify { reads_iam: true },
            Step::DeleteRootKey {
                access_key_id: root_key_id.to_owned(),
            },
        ],
        warnings: Vec::new(),
    }
}
