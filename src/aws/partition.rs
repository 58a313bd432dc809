//! AWS's partitions: how their regions begin, and their console's pages that people are sent to.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// As ARNs name it.
    pub id: &'static str,
    /// How its regions begin; empty for the commercial partition, which takes all the others.
    region_prefix: &'static str,
    /// What the hosts of its sign-in and its console end in.
    pub console_domain: &'static str,
}

/// ID, prefix and domain of each, as in aws-sdk-signin 1.33, `config/endpoint.rs`.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("aws-cn", "cn-", "amazonaws.cn"),
    ("aws-us-gov", "us-gov-", "amazonaws-us-gov.com"),
    ("aws-eusc", "eusc-", "amazonaws-eusc.eu"),
    ("aws-iso", "us-iso-", "c2shome.ic.gov"),
    ("aws-iso-b", "us-isob-", "sc2shome.sgov.gov"),
    ("aws-iso-e", "eu-isoe-", "csphome.adc-e.uk"),
    ("aws-iso-f", "us-isof-", "csphome.hci.ic.gov"),
    ("aws", "", "aws.amazon.com"),
];

fn partitions() -> impl Iterator<Item = Partition> {
    let all = PARTITIONS.into_iter();
    all.map(|(id, region_prefix, console_domain)| Partition { id, region_prefix, console_domain })
}

impl Partition {
    /// The region's partition. A region that is not known is commercial, as it is for the SDKs.
    pub fn of_region(region: &str) -> Self {
        let mut all = partitions();
        all.find(|it| region.starts_with(it.region_prefix)).expect("the last takes every region")
    }

    /// The partition with the ID that an ARN has.
    pub fn with_id(id: &str) -> Option<Self> {
        partitions().find(|partition| partition.id == id)
    }

    /// The keys of the user who is signed in, root or not.
    pub fn security_credentials(self) -> String {
        self.iam("/security_credentials")
    }

    pub fn create_user(self) -> String {
        self.iam("/users/create")
    }

    /// Where a user's keys are; `name` follows IAM's rule for names.
    pub fn user_credentials(self, name: &str) -> String {
        let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        self.iam(&format!("/users/details/{name}?section=security_credentials"))
    }

    fn iam(self, page: &str) -> String {
        format!("https://console.{}/iam/home#{page}", self.console_domain)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_signin::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};

    use super::*;

    #[test]
    fn every_partition_is_found_by_its_id_and_by_its_regions() {
        for partition in partitions() {
            assert_eq!(Partition::with_id(partition.id), Some(partition));
            let region = format!("{}mars-1", partition.region_prefix);
            assert_eq!(Partition::of_region(&region), partition);
        }
        assert_eq!(Partition::with_id("aws-moon"), None);
        assert_eq!(Partition::of_region("mx-central-1").id, "aws");
    }

    #[tokio::test]
    async fn the_domains_are_those_of_the_sdk() {
        for (region, id) in [
            ("eu-west-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
        ] {
            let params = Params::builder().region(region).is_control_plane(false);
            let params = params.use_fips(false).use_dual_stack(false).build().expect("complete");
            let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.expect(region);
            let partition = Partition::of_region(region);
            assert_eq!(partition.id, id);
            let address = format!("https://{region}.signin.{}", partition.console_domain);
            assert_eq!(endpoint.url(), address);
        }
    }

    #[test]
    fn pages_follow_the_partition() {
        let of = |region| Partition::of_region(region);
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
