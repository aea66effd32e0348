//! Who you are here, your API tokens, how the console looks, and for administrators the runners.

use leptos::prelude::*;
use leptos_meta::Title;

use crate::{
    components::{
        header::Header,
        icon::{Glyph, Icon},
        problem::Problem,
        skeleton::Skeleton,
        theme::ThemeSwitch,
        time::Time,
        tokens::{runners::RunnerTokens, scripts::ApiTokens},
    },
    context::Place,
};

/// The page.
#[component]
pub fn Account() -> impl IntoView {
    let place = expect_context::<Place>();
    let runners = move || {
        Suspend::new(async move {
            let me = place.me.await.ok().and_then(|me| me.0.user);
            let is_administrator = me.is_some_and(|user| user.administrator);
            is_administrator.then(|| view! { <RunnerTokens /> })
        })
    };
    view! {
        <Title text="Account" />
        <Header title="Account" />
        <div class="page narrow">
            <Transition fallback=|| {
                view! { <Skeleton lines=3 /> }
            }>
                {move || Suspend::new(async move {
                    match place.me.await {
                        Ok(me) => profile(me.0).into_any(),
                        Err(error) => view! { <Problem error /> }.into_any(),
                    }
                })}
            </Transition>
            <section class="block" aria-labelledby="own-secrets-heading">
                <h2 class="section-heading" id="own-secrets-heading">"Secrets"</h2>
                <p class="field-hint">
                    "Tokens, passwords and private keys that no agent may show: encrypted, never shown "
                    "again, and masked wherever they turn up."
                </p>
                <p>
                    <a class="button" href="/account/secrets">
                        <Glyph icon=Icon::Key />
                        "Your secrets"
                    </a>
                </p>
            </section>
            <ApiTokens />
            <Transition>{runners}</Transition>
            <section class="block" aria-labelledby="theme-heading">
                <h2 class="section-heading" id="theme-heading">"Theme"</h2>
                <ThemeSwitch />
                <p class="field-hint">"Kept in this browser."</p>
            </section>
        </div>
    }
    .into_any()
}

fn profile(me: membrane_proto::v1::GetMeResponse) -> impl IntoView {
    let user = me.user.unwrap_or_default();
    let role = if user.administrator {
        "Administrator of this server"
    } else {
        "User of this server"
    };
    view! {
        <section class="block" aria-labelledby="me-heading">
            <h2 class="section-heading" id="me-heading">"You"</h2>
            <dl class="pairs">
                <div>
                    <dt>"Name"</dt>
                    <dd>{user.name}</dd>
                </div>
                <div>
                    <dt>"Role"</dt>
                    <dd>{role}</dd>
                </div>
                <div>
                    <dt>"Since"</dt>
                    <dd><Time time=user.create_time /></dd>
                </div>
                <div>
                    <dt>"Server"</dt>
                    <dd class="mono">{format!("Membrane {}", me.server_version)}</dd>
                </div>
            </dl>
            <form method="post" action="/auth/sign-out">
                <button type="submit" class="button">"Sign out"</button>
            </form>
        </section>
    }
    .into_any()
}
