//! The pages of the AWS console that people are sent to. Text only; opens nothing.

use crate::aws::identity::console_domain;

/// The console of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Of all its hosts.
    domain: &'static str,
}

/// How the regions of a partition begin, where it is not the commercial one (botocore,
/// `data/partitions.json`).
const PREFIXES: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
];

impl Console {
    /// Of the region's partition.
    pub fn of_region(region: &str) -> Self {
        let mut others = PREFIXES.iter();
        let other = others.find(|(prefix, _)| region.starts_with(prefix));
        // New regions are the commercial partition's, as the SDKs take them.
        let partition = other.map_or("aws", |(_, partition)| partition);
        Console {
            domain: console_domain(partition).expect("each of them is known"),
        }
    }

    /// Of whoever is signed in: root's keys, or a user's own.
    pub fn security_credentials(&self) -> String {
        self.iam("/security_credentials")
    }

    pub fn create_user(&self) -> String {
        self.iam("/users/create")
    }

    /// Where a user's keys are; `name` follows IAM's rule for names.
    pub fn user_credentials(&self, name: &str) -> String {
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        self.iam(&format!(
            "/users/details/{name}?section=security_credentials"
        ))
    }

    fn iam(&self, page: &str) -> String {
        format!("https://console.{}/iam/home#{page}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_has_a_console_of_its_own() {
        let mut pages: Vec<String> = PREFIXES
            .iter()
            .map(|(prefix, _)| Console::of_region(prefix).create_user())
            .collect();
        assert_eq!(
            pages[2],
            "https://console.amazonaws-eusc.eu/iam/home#/users/create"
        );
        pages.push(Console::of_region("mx-central-1").create_user());
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(pages.len(), PREFIXES.len() + 1);
    }

    #[test]
    fn pages_follow_the_partition() {
        let of = |region| Console::of_region(region);
        assert_eq!(
            of("eu-west-1").security_credentials(),
            "https://console.aws.amazon.com/iam/home#/security_credentials"
        );
        assert_eq!(
            of("cn-north-1").create_user(),
            "https://console.amazonaws.cn/iam/home#/users/create"
        );
        assert_eq!(
            of("us-gov-west-1").user_credentials("a+b"),
            "https://console.amazonaws-us-gov.com/iam/home#/users/details/a%2Bb?section=security_credentials"
        );
    }
}
