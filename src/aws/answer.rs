//! Makes sure that an answer is all there before anybody believes it. The SDK's XML reader takes a
//! document that was cut on the way for one with empty fields: a key with half a secret, a user
//! without tags.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::AfterDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// For the services that answer in XML, IAM and STS: every answer of theirs is one element whose
/// name ends in `Response` (API references, "Making query requests").
#[derive(Debug)]
pub struct WholeAnswers;

#[dyn_dispatch_hint]
impl Intercept for WholeAnswers {
    fn name(&self) -> &'static str {
        "WholeAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let whole = !response.status().is_success()
            || response.body().bytes().is_some_and(ends_as_it_should);
        match whole {
            true => Ok(()),
            false => Err("the answer was cut on the way".into()),
        }
    }
}

fn ends_as_it_should(body: &[u8]) -> bool {
    let body = body.trim_ascii_end();
    let tag = body.iter().rposition(|byte| *byte == b'<').map(|at| &body[at..]);
    tag.is_some_and(|tag| tag.starts_with(b"</") && tag.ends_with(b"Response>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_document_is_told_from_a_whole_one() {
        let whole = "<CreateUserResponse><CreateUserResult/></CreateUserResponse>\n";
        assert!(ends_as_it_should(whole.as_bytes()));
        for cut in 0..whole.len() - 1 {
            assert!(!ends_as_it_should(&whole.as_bytes()[..cut]), "{cut}");
        }
        assert!(!ends_as_it_should(b"<html>a proxy's own page</html>"));
    }
}
