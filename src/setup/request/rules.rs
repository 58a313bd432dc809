//! AWS's rules for what a user may choose: names, ARNs, descriptions and tags. Text in, verdict out.

use crate::error::{Error, Result};

/// IAM's rule for user names (API reference, CreateUser): 1 to 64 of `[\w+=,.@-]`, ASCII.
///
/// # Errors
/// `Usage`, with the rule.
pub fn check_user_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` is no valid IAM user name"))
        .hint("use 1 to 64 letters, digits and _+=,.@- with --user-name"))
}

/// # Errors
/// `Usage`, when it is no policy's ARN.
pub fn check_policy_arn(arn: &str) -> Result<()> {
    let mut parts = arn.splitn(6, ':');
    let mut is = |expected: &dyn Fn(&str) -> bool| parts.next().is_some_and(expected);
    let valid = is(&|arn| arn == "arn")
        && is(&|partition| partition.starts_with("aws"))
        && is(&|service| service == "iam")
        && is(&str::is_empty)
        && is(&|account| account == "aws" || account.len() == 12)
        && is(&|resource| {
            resource
                .strip_prefix("policy/")
                .is_some_and(|name| !name.is_empty())
        });
    if valid {
        return Ok(());
    }
    Err(Error::usage(format!("`{arn}` is no ARN of a policy"))
        .hint("give it as in arn:aws:iam::aws:policy/ReadOnlyAccess, or arn:aws:iam::111122223333:policy/NAME"))
}

/// IAM's rule for tag values (API reference, Tag): at most 256 letters, digits, spaces and
/// `_.:/=+-@`.
///
/// # Errors
/// `Usage`, naming the characters that are refused.
pub fn check_key_description(description: &str) -> Result<()> {
    check_tag_text(description, 0, 256).map_err(|why| {
        Error::usage(format!("AWS refuses this key description: {why}"))
            .hint("use up to 256 letters, digits, spaces and _.:/=+-@ with --key-description")
    })
}

/// Takes `KEY=VALUE`s apart and checks them by IAM's rules: their characters, no key twice
/// (whatever its case), and at most 50 tags a user, three of which are ours.
///
/// # Errors
/// `Usage`, with the rule.
pub fn parse_tags(texts: &[String]) -> Result<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for text in texts {
        let (key, value) = parse_tag(text)?;
        if tags
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(&key))
        {
            return Err(Error::usage(format!("the tag `{key}` is given twice"))
                .hint("give each --tag once; IAM does not tell `a` from `A`"));
        }
        tags.push((key, value));
    }
    if tags.len() > 47 {
        return Err(Error::usage(format!("{} tags are too many", tags.len()))
            .hint("give at most 47; IAM allows 50, and cloudcred adds three"));
    }
    Ok(tags)
}

fn parse_tag(text: &str) -> Result<(String, String)> {
    let wrong = |why: String| {
        Error::usage(format!("`{text}` is no valid tag: {why}"))
            .hint("use --tag KEY=VALUE with letters, digits, spaces and _.:/=+-@")
    };
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| wrong("it has no `=`".to_owned()))?;
    check_tag_text(key, 1, 128).map_err(|why| wrong(format!("its key: {why}")))?;
    check_tag_text(value, 0, 256).map_err(|why| wrong(format!("its value: {why}")))?;
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(wrong("keys that start with aws: belong to AWS".to_owned()));
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn check_tag_text(text: &str, shortest: usize, longest: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length < shortest {
        return Err("it is empty".to_owned());
    }
    if length > longest {
        return Err(format!("it has {length} characters, more than {longest}"));
    }
    let mut refused: Vec<char> = text.chars().filter(|c| !tag_character(*c)).collect();
    refused.dedup();
    if refused.is_empty() {
        return Ok(());
    }
    let refused: Vec<String> = refused
        .iter()
        .map(|c| match c.is_control() {
            true => format!("`{}`", c.escape_default()),
            false => format!("`{c}`"),
        })
        .collect();
    Err(format!("it contains {}", refused.join(" ")))
}

fn tag_character(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c)
}

/// `CloudStudio on ana-laptop`, without what a tag refuses.
pub fn default_key_description(host_name: Option<&str>) -> String {
    match host_name {
        Some(host) => {
            let host: String = host
                .chars()
                .filter(|c| tag_character(*c))
                .take(100)
                .collect();
            format!("CloudStudio on {host}")
        }
        None => "CloudStudio".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn user_names_follow_iams_rule() {
        for name in ["a", "ci-admin", "A_b+c=d,e.f@g-h", &"x".repeat(64)] {
            check_user_name(name).expect("allowed");
        }
        for name in ["", "a b", "a/b", "ü", "a:b", &"x".repeat(65)] {
            assert_eq!(check_user_name(name).expect_err(name).kind, Kind::Usage);
        }
    }

    #[test]
    fn descriptions_name_the_characters_that_tags_refuse() {
        check_key_description("CloudStudio on ana-laptop, no").expect_err("comma");
        let error = check_key_description("it's (mine)").expect_err("refused");
        assert!(error.message.contains("`'` `(` `)`"), "{}", error.message);
        check_key_description("Ünïcode letters are fine").expect("allowed");
        check_key_description("").expect("an empty value is allowed");
        check_key_description(&"x".repeat(257)).expect_err("too long");
    }

    #[test]
    fn a_default_description_is_always_accepted() {
        for host in [None, Some("ana-laptop"), Some("weird,host(name)#")] {
            check_key_description(&default_key_description(host)).expect("made to fit");
        }
    }

    #[test]
    fn tags_are_taken_apart_at_the_first_sign() {
        let parse =
            |tags: &[&str]| parse_tags(&tags.iter().map(|tag| tag.to_string()).collect::<Vec<_>>());
        assert_eq!(
            parse(&["a=b=c", "d="]).expect("valid"),
            [("a".into(), "b=c".into()), ("d".into(), String::new())]
        );
        for wrong in [
            &["a"][..],
            &["=b"],
            &["aws:x=y"],
            &["a=(b)"],
            &["a=1", "A=2"],
        ] {
            let error = parse(wrong).expect_err(wrong[0]);
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
