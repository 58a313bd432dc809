//! The variables as the tools see them, for one profile or for none in particular.

use crate::env::Env;

pub struct Settings<'a> {
    pub env: &'a Env,
    /// The profile that AWS_PROFILE is taken to name, whatever it names by now.
    pub named: Option<&'a str>,
    pub has_instance: bool,
}

impl<'a> Settings<'a> {
    /// The variable as it is set, also to nothing.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        match (self.named, name) {
            (Some(profile), "AWS_PROFILE") => Some(profile),
            (Some(_), "AWS_DEFAULT_PROFILE") => None,
            _ => self.env.raw(name),
        }
    }

    /// The variable where it is set to something.
    pub fn var(&self, name: &str) -> Option<&'a str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The first of the variables that is set to something.
    pub fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a str)> {
        names.iter().find_map(|name| Some((*name, self.var(name)?)))
    }
}
