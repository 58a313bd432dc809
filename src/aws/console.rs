//! The pages of the AWS console that people are sent to. Text only; opens nothing.

use crate::aws::partition::Partition;

/// The console of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// What all its hosts end in.
    domain: &'static str,
}

impl Console {
    /// The console of the region's partition.
    pub fn of_region(region: &str) -> Self {
        Console { domain: Partition::of_region(region).console_domain }
    }

    /// The keys of the user who is signed in, root or not.
    pub fn security_credentials(&self) -> String {
        self.iam("/security_credentials")
    }

    pub fn create_user(&self) -> String {
        self.iam("/users/create")
    }

    /// Where a user's keys are; `name` follows IAM's rule for names.
    pub fn user_credentials(&self, name: &str) -> String {
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        self.iam(&format!("/users/details/{name}?section=security_credentials"))
    }

    fn iam(&self, page: &str) -> String {
        format!("https://console.{}/iam/home#{page}", self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
