//! What may be believed of IAM, which is eventually consistent: a change that was just made is seen,
//! not seen, and seen again, depending on the server that answers.
//!
//! So "not there" is never one answer, and a 200 without the expected content is none at all.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::failure::{Failure, Reason};

/// How long IAM's servers may disagree about a change, or a request that nobody waits for any more may
/// still be on its way. AWS promises no number; 3 to 15 s have been seen.
pub const SETTLING: Duration = Duration::from_secs(15);

/// What one look showed.
pub enum Look<T> {
    /// It settles the question.
    Sure(T),
    /// One server's word, which counts only when all looks over the settling time agree with it.
    Unsure(T),
}

/// Looks again and again, until one look is sure or the settling time is over; then the last word
/// stands. A look that fails is repeated as well, unless waiting does not change its failure.
pub async fn settled<T, F>(look: impl Fn() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<Look<T>, Failure>>,
{
    let began = Instant::now();
    let mut pause = Duration::from_millis(500);
    loop {
        let over = began.elapsed() >= SETTLING;
        match look().await {
            Ok(Look::Sure(word)) => return Ok(word),
            Ok(Look::Unsure(word)) if over => return Ok(word),
            Err(failure) if over || !may_pass(&failure) => return Err(failure),
            Ok(Look::Unsure(_)) | Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
}

/// Asks three times at once, over connections that may reach three servers: what one of them has seen
/// is there.
pub async fn thrice<T, F>(look: impl Fn() -> F) -> Result<[T; 3], Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    tokio::try_join!(look(), look(), look()).map(<[T; 3]>::from)
}

/// Deletes something until it is known to be gone: a deletion that AWS confirmed counts once a later
/// listing confirms it, "no such entity" only when it is the answer for the whole settling time.
///
/// `is_listed` should ask over a fresh connection each time. Where listing is not allowed or not
/// implemented, the deletion's own answers decide. It is an error when the thing is still listed after
/// twice the settling time.
pub async fn deleted<D, L>(delete: impl Fn() -> D, is_listed: impl Fn() -> L) -> Result<(), Failure>
where
    D: Future<Output = Result<(), Failure>>,
    L: Future<Output = Result<bool, Failure>>,
{
    let began = Instant::now();
    let mut confirmed = false;
    let mut absent_since: Option<Instant> = None;
    let mut pause = Duration::from_millis(500);
    loop {
        let over = began.elapsed() >= SETTLING * 2;
        match delete().await {
            Ok(()) => confirmed = true,
            Err(failure) if failure.reason == Reason::Missing => {}
            Err(failure) if over || !may_pass(&failure) => return Err(failure),
            Err(_) => absent_since = None,
        }
        match is_listed().await {
            Ok(true) if over => {
                let message = format!("after {} s AWS still lists it", began.elapsed().as_secs());
                return Err(Failure::unclear("its deletion", message));
            }
            Ok(true) => absent_since = None,
            Err(failure) if may_pass(&failure) && over => return Err(failure),
            Err(failure) if may_pass(&failure) => absent_since = None,
            Ok(false) | Err(_) if confirmed => return Ok(()),
            Ok(false) | Err(_) => {
                let since = *absent_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= SETTLING {
                    return Ok(());
                }
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(3));
    }
}

/// Whether the next answer may be another one.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.reason, Reason::Passing | Reason::Unclear | Reason::Unreachable)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn failure(reason: Reason) -> Failure {
        Failure { operation: "iam:Test", code: None, message: String::new(), reason }
    }

    /// Gives the answers in their order, and the last one for ever.
    fn script<T: Clone>(
        answers: &[Result<T, Reason>],
    ) -> impl Fn() -> std::future::Ready<Result<T, Failure>> {
        let mut rest: Vec<_> = answers.to_vec();
        rest.reverse();
        let rest = RefCell::new(rest);
        move || {
            let mut rest = rest.borrow_mut();
            let next = if rest.len() > 1 { rest.pop() } else { rest.last().cloned() };
            std::future::ready(next.expect("never empty").map_err(failure))
        }
    }

    fn run<T>(work: impl Future<Output = T>) -> (T, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let began = Instant::now();
            (work.await, began.elapsed())
        })
    }

    #[test]
    fn a_confirmed_deletion_needs_one_listing() {
        let (result, took) = run(deleted(script(&[Ok(())]), script(&[Ok(false)])));
        result.expect("gone");
        assert_eq!(took, Duration::ZERO);
    }

    #[test]
    fn no_such_entity_is_believed_only_after_the_settling_time() {
        let (result, took) = run(deleted(script(&[Err(Reason::Missing)]), script(&[Ok(false)])));
        result.expect("gone");
        assert!(took >= SETTLING, "{took:?}");
        let stale = [Err(Reason::Missing), Ok(())];
        let (result, took) = run(deleted(script(&stale), script(&[Ok(false)])));
        result.expect("gone");
        assert!(took < SETTLING, "{took:?}");
    }

    #[test]
    fn what_is_listed_is_not_gone() {
        let (result, _) = run(deleted(script(&[Ok(())]), script(&[Ok(true)])));
        result.expect_err("it is listed for ever");
        let listed_once = [Ok(true), Ok(false)];
        let (result, _) =
            run(deleted(script(&[Ok(()), Err(Reason::Missing)]), script(&listed_once)));
        result.expect("gone at the second look");
    }

    #[test]
    fn a_listing_that_is_not_allowed_leaves_the_word_to_the_deletion() {
        let denied = [Err(Reason::Denied)];
        let (result, took) = run(deleted(script(&[Ok(())]), script::<bool>(&denied)));
        result.expect("gone");
        assert_eq!(took, Duration::ZERO);
        let (result, took) = run(deleted(script(&[Err(Reason::Missing)]), script::<bool>(&denied)));
        result.expect("gone");
        assert!(took >= SETTLING, "{took:?}");
        let (result, _) =
            run(deleted(script(&denied.map(|it| it.map(|_: bool| ()))), script(&[Ok(true)])));
        assert_eq!(result.expect_err("denied").reason, Reason::Denied);
    }

    #[test]
    fn an_unsure_word_stands_when_it_lasts() {
        let looks = RefCell::new(0);
        let (word, took) = run(settled(|| async {
            *looks.borrow_mut() += 1;
            Ok(Look::Unsure(*looks.borrow()))
        }));
        assert!(took >= SETTLING && word.expect("a word") > 5);
    }
}
