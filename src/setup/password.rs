//! Makes a console password that the account's policy accepts. Random characters in, text out.

use rand::seq::{IndexedRandom, SliceRandom};
use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::aws::account::PasswordPolicy;

const LOWERCASE: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
const UPPERCASE: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &[u8] = b"23456789";
/// Of IAM's symbols, those that are easy to type and mean nothing to a shell in quotes.
const SYMBOLS: &[u8] = b"@#%^*()_+-=[]{}";

/// 20 characters, or as many as the policy demands, of all four classes, without those that look
/// alike (`l1I`, `O0`).
pub fn generate(policy: &PasswordPolicy) -> SecretString {
    // rand's thread generator is cryptographically secure and seeded by the system.
    let mut rng = rand::rng();
    let classes = [LOWERCASE, UPPERCASE, DIGITS, SYMBOLS];
    let length = policy.minimum_length.clamp(20, 128);
    let any = classes.concat();
    let mut password = Zeroizing::new(Vec::with_capacity(length));
    password.extend(classes.iter().filter_map(|class| class.choose(&mut rng)));
    while password.len() < length {
        password.extend(any.choose(&mut rng));
    }
    password.shuffle(&mut rng);
    SecretString::from(std::str::from_utf8(&password).expect("the classes are ASCII"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn every_policy_accepts_what_is_made_for_it() {
        for minimum_length in [6, 20, 128] {
            let policy = PasswordPolicy { minimum_length, required: [true; 4], classes: 4 };
            let first = generate(&policy);
            assert_eq!(policy.missing_in(first.expose_secret()), [""; 0]);
            assert_eq!(first.expose_secret().len(), minimum_length.max(20));
            let second = generate(&policy);
            assert_ne!(first.expose_secret(), second.expose_secret());
        }
    }
}
