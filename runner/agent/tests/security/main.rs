//! What the sandbox promises, tried by somebody who wants out. Runs as an unprivileged user: as root
//! it would prove little. `make security` sees to that, and to it that every test of the list has
//! run. Built with guards that can be switched off, so that each is shown to be missed.

mod denials;
mod exhaustion;
mod guards;
mod host;
mod network;
mod reading;
mod support;
mod teardown;
mod writing;
