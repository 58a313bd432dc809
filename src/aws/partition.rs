//! AWS's partitions: how their regions begin, and which hosts their console has.

/// One partition.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// As ARNs name it.
    pub id: &'static str,
    /// How its regions begin; empty for the commercial partition, which takes all the others.
    region_prefix: &'static str,
    /// What the hosts of its sign-in and its console end in.
    pub console_domain: &'static str,
}

/// Regions are from botocore's `data/partitions.json`, domains from aws-sdk-signin 1.33,
/// `config/endpoint.rs`. The commercial partition is last, because its prefix fits every region.
const PARTITIONS: [Partition; 8] = [
    partition("aws-cn", "cn-", "amazonaws.cn"),
    partition("aws-us-gov", "us-gov-", "amazonaws-us-gov.com"),
    partition("aws-eusc", "eusc-", "amazonaws-eusc.eu"),
    partition("aws-iso", "us-iso-", "c2shome.ic.gov"),
    partition("aws-iso-b", "us-isob-", "sc2shome.sgov.gov"),
    partition("aws-iso-e", "eu-isoe-", "csphome.adc-e.uk"),
    partition("aws-iso-f", "us-isof-", "csphome.hci.ic.gov"),
    COMMERCIAL,
];

const COMMERCIAL: Partition = partition("aws", "", "aws.amazon.com");

const fn partition(
    id: &'static str,
    region_prefix: &'static str,
    console_domain: &'static str,
) -> Partition {
    Partition { id, region_prefix, console_domain }
}

impl Partition {
    /// The region's partition. A region that is not known is commercial, as it is for the SDKs.
    pub fn of_region(region: &str) -> &'static Self {
        PARTITIONS
            .iter()
            .find(|partition| region.starts_with(partition.region_prefix))
            .unwrap_or(&COMMERCIAL)
    }

    /// The partition with the ID that an ARN has.
    pub fn with_id(id: &str) -> Option<&'static Self> {
        PARTITIONS.iter().find(|partition| partition.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_found_by_its_id_and_by_its_regions() {
        for partition in &PARTITIONS {
            assert_eq!(Partition::with_id(partition.id), Some(partition));
            let region = format!("{}mars-1", partition.region_prefix);
            assert_eq!(Partition::of_region(&region), partition);
        }
        assert_eq!(Partition::with_id("aws-moon"), None);
        assert_eq!(Partition::of_region("mx-central-1").id, "aws");
    }

    #[test]
    fn every_partition_has_a_console_of_its_own() {
        let mut domains = PARTITIONS.map(|partition| partition.console_domain);
        domains.sort_unstable();
        assert!(domains.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
