//! AWS's rules for what a user may choose: names, ARNs, descriptions and tags. Text in, verdict out.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::error::{Error, Result};

/// IAM's rule for user names (API reference, CreateUser): 1 to 64 of `[\w+=,.@-]`, ASCII.
pub fn check_user_name(name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::usage(format!("`{name}` is not a valid IAM user name"))
        .hint("use 1 to 64 letters, digits and _+=,.@- with --user-name"))
}

pub fn check_policy_arn(arn: &str) -> Result<()> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    if let ["arn", partition, "iam", "", account, resource] = parts[..]
        && partition.starts_with("aws")
        && (account == "aws" || account.len() == 12)
        && resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty())
    {
        return Ok(());
    }
    Err(Error::usage(format!("`{arn}` is not the ARN of a policy"))
        .hint("use one like arn:aws:iam::aws:policy/ReadOnlyAccess or arn:aws:iam::111122223333:policy/NAME"))
}

/// IAM's rule for tag values (API reference, Tag): at most 256 letters, numbers, spaces and
/// `_.:/=+-@`.
pub fn check_key_description(description: &str) -> Result<()> {
    check_tag_text(description, 0, 256).map_err(|why| {
        Error::usage(format!("AWS refuses this key description: {why}"))
            .hint("use up to 256 letters, digits, spaces and _.:/=+-@ with --key-description")
    })
}

/// Splits each `KEY=VALUE` and checks it by IAM's rules: its characters, no key twice (upper and lower
/// case are the same), and at most 50 tags a user, three of which are ours.
pub fn parse_tags(texts: &[String]) -> Result<Vec<(String, String)>> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for text in texts {
        let (key, value) = parse_tag(text)?;
        if tags.iter().any(|(other, _)| other.eq_ignore_ascii_case(&key)) {
            return Err(Error::usage(format!("the tag `{key}` is given twice"))
                .hint("give each --tag once; to IAM, `a` and `A` are the same key"));
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
        Error::usage(format!("`{text}` is not a valid tag: {why}"))
            .hint("use --tag KEY=VALUE with letters, digits, spaces and _.:/=+-@")
    };
    let (key, value) = text.split_once('=').ok_or_else(|| wrong("it has no `=`".to_owned()))?;
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
    let mut refused: Vec<String> = text
        .chars()
        .filter(|c| !is_allowed_in_tag(*c))
        .map(|c| match c.general_category_group() {
            // Neither has a shape of its own.
            GeneralCategoryGroup::Mark | GeneralCategoryGroup::Other => {
                format!("U+{:04X}", u32::from(c))
            }
            _ => format!("`{c}`"),
        })
        .collect();
    refused.dedup();
    if refused.is_empty() { Ok(()) } else { Err(format!("it contains {}", refused.join(" "))) }
}

/// IAM's pattern for tags: `[\p{L}\p{Z}\p{N}_.:/=+\-@]` (API reference, Tag).
fn is_allowed_in_tag(c: char) -> bool {
    use GeneralCategoryGroup::{Letter, Number, Separator};
    matches!(c.general_category_group(), Letter | Separator | Number) || "_.:/=+-@".contains(c)
}

/// `CloudStudio on ana-laptop`, without the characters that a tag may not have.
pub fn default_key_description(host_name: Option<&str>) -> String {
    let host: String =
        host_name.unwrap_or_default().chars().filter(|c| is_allowed_in_tag(*c)).take(100).collect();
    match host.trim() {
        "" => "CloudStudio".to_owned(),
        host => format!("CloudStudio on {host}"),
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
        for text in ["é", "日本", "①½Ⅳ", "a\u{a0}b\u{2003}c\u{3000}d"] {
            check_key_description(text).expect(text);
        }
        for (text, named) in [
            ("e\u{301}", "U+0301"),
            ("\u{903}", "U+0903"),
            ("\u{20dd}", "U+20DD"),
            ("Ⓐ", "`Ⓐ`"),
            ("🎉", "`🎉`"),
            ("a\u{200d}b", "U+200D"),
            ("a\tb", "U+0009"),
            ("a\u{9b}b", "U+009B"),
            ("a·b", "`·`"),
            ("a\u{e000}", "U+E000"),
        ] {
            let error = check_key_description(text).expect_err(text);
            assert!(error.message.contains(named), "{}", error.message);
            let tag = format!("team={text}");
            let error = parse_tags(&[tag]).expect_err(text);
            assert!(error.message.contains("its value"), "{}", error.message);
            parse_tags(&[format!("{text}=x")]).expect_err(text);
        }
        check_key_description("").expect("an empty value is allowed");
        check_key_description(&"x".repeat(257)).expect_err("too long");
    }

    #[test]
    fn a_default_description_is_always_accepted() {
        for (host, expected) in [
            (None, "CloudStudio"),
            (Some(""), "CloudStudio"),
            (Some("(\u{301}Ⓐ\u{200d}) "), "CloudStudio"),
            (Some("ana-laptop"), "CloudStudio on ana-laptop"),
            (Some("weird,host(name)#"), "CloudStudio on weirdhostname"),
            (Some("ana\u{301}s-Ⓜac"), "CloudStudio on anas-ac"),
        ] {
            let description = default_key_description(host);
            assert_eq!(description, expected);
            check_key_description(&description).expect("made to fit");
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
        for wrong in [&["a"][..], &["=b"], &["aws:x=y"], &["a=(b)"], &["a=1", "A=2"]] {
            let error = parse(wrong).expect_err(wrong[0]);
            assert_eq!(error.kind, Kind::Usage);
        }
    }
}
