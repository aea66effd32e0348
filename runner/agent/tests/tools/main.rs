//! The tools and the sandbox, as an agent meets them: real files, real processes, real bubblewrap.

mod support;

mod bash;
mod bash_output;
mod doctor;
mod doors;
mod edit;
mod egress;
mod glob;
mod grep;
mod isolation;
mod lifetime;
mod links;
mod read;
mod refusal;
mod todo;
mod toolchains;
mod write;
