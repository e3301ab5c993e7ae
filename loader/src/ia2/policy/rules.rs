//! Rules on the command line, beside those of a policy.

/// They hold for every policy that the command takes.
#[derive(clap::Args, Default)]
pub(crate) struct Rules {
    /// A rule that takes the place of what the policy says of its calls: 'socket : errno EACCES'. May be given
    /// several times, and be any item of a policy.
    #[arg(short = 'e', long = "rule", value_name = "RULE")]
    pub(crate) texts: Vec<String>,
}
