//! `#[test]` for tests that our own runner runs, since the standard one cannot skip a test at run time.

use proc_macro::{TokenStream, TokenTree};

/// Registers a function as a test. `#[test(Zsh, Keyring)]` names the parts of the machine that it needs.
#[proc_macro_attribute]
pub fn test(parts: TokenStream, function: TokenStream) -> TokenStream {
    let name = name_of(function.clone());
    let parts: String = parts
        .into_iter()
        .filter(|token| matches!(token, TokenTree::Ident(_)))
        .map(|part| format!("crate::support::parts::Part::{part},"))
        .collect();
    let registration = format!(
        "::inventory::submit! {{ crate::common::runner::Case {{
            module: module_path!(), name: stringify!({name}), run: {name}, parts: &[{parts}],
        }} }}"
    );
    let registration: TokenStream = registration.parse().expect("it is Rust");
    function.into_iter().chain(registration).collect()
}

fn name_of(function: TokenStream) -> TokenTree {
    let mut tokens = function
        .into_iter()
        .skip_while(|token| token.to_string() != "fn");
    tokens.nth(1).expect("only a function can be a test")
}
