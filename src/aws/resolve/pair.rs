//! What is wrong with a pair as a tool has read it, whatever AWS would say.

use crate::diagnostic::Diagnostic;

/// The two halves, and the token of a session.
pub struct Pair<'a> {
    pub id: &'a str,
    pub secret: &'a str,
    pub token: Option<&'a str>,
}

impl Pair<'_> {
    /// Why AWS refuses whatever the tool signs with it. `from` names its place: the variables, a file.
    pub fn problem(&self, from: &str) -> Option<Diagnostic> {
        let token = self.token.filter(|token| !token.is_empty());
        self.unsignable(from).or_else(|| match token {
            Some(_) if self.id.starts_with("AKIA") => Some(Diagnostic::new(
                "token_beside_user_key",
                format!("a session token is used with the user's key {} in {from}", self.id),
                "unset or remove the token: AWS refuses a user's key with one",
            )),
            None if self.id.starts_with("ASIA") => Some(Diagnostic::new(
                "no_session_token",
                format!("the temporary key {} in {from} has no session token", self.id),
                "copy all three values, the session token too",
            )),
            _ => None,
        })
    }

    /// What no signature can be made with; some of it makes the AWS SDK panic.
    pub fn unsignable(&self, from: &str) -> Option<Diagnostic> {
        if self.id.is_empty() || self.secret.is_empty() {
            let which = if self.id.is_empty() { "access key ID" } else { "secret access key" };
            let message = format!("the {which} in {from} is empty");
            return Some(Diagnostic::new("empty_value", message, "fill it in, or remove the line"));
        }
        for (which, value) in [("access key ID", self.id), ("secret access key", self.secret)] {
            if let Some(what) = strange(value) {
                let message = format!("the {which} in {from} is read with {what} in it");
                return Some(Diagnostic::new("odd_value", message, "leave nothing but the value"));
            }
        }
        if self.secret.starts_with("AKIA") && !self.id.starts_with("AKIA") {
            let message = format!("the two halves of the key in {from} are swapped");
            return Some(Diagnostic::new("swapped_halves", message, "exchange the two values"));
        }
        let is_odd = |c: char| c.is_control() || !c.is_ascii();
        self.token.filter(|token| token.contains(is_odd)).map(|_| {
            let message = format!("the session token in {from} has characters that no token has");
            Diagnostic::new("odd_value", message, "copy it anew, without a line break")
        })
    }
}

/// What the value holds that no key has, in words.
fn strange(value: &str) -> Option<&'static str> {
    let odd = value.chars().find(|c| !(c.is_ascii_alphanumeric() || "/+=_-.".contains(*c)))?;
    Some(match odd {
        '"' | '\'' => "quotation marks",
        '#' | ';' => "a comment",
        '\r' | '\n' => "a line break",
        _ if value.contains([' ', '\t']) && value.contains(['#', ';']) => "a comment",
        ' ' | '\t' => "a space",
        _ if odd.is_control() => "a control character",
        _ => "a character that no key has",
    })
}
