//! One tab among those of its browser: what it watches, how it hears of it, and its part in choosing
//! who leads.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::{Rc, Weak},
    time::Duration,
};

use futures::{
    channel::mpsc,
    future::{AbortHandle, Abortable, select},
};
use leptos::{prelude::*, task::spawn_local};
use membrane_proto::v1::watch_response::Kind as Message;

use super::{
    channel::Channel,
    leader,
    letters::{Health, Kind, Leads, News, Refused, State, Topic, Wants},
    lock,
    plan::Plan,
    tab::{Item, Tab},
};
use crate::{
    api::ApiError,
    browser,
    context::{Connection, Link},
};

/// How often a tab looks whether it has heard of the leader.
const TICK: Duration = Duration::from_secs(5);

type Listener = Rc<dyn Fn(Item)>;

/// A tab that leads.
pub struct Lead {
    /// What tabs want.
    pub plan: Plan,
    /// What they were told last.
    pub state: State,
    /// Tells the one who reads the stream that there may be something to do.
    pub wake: mpsc::Sender<()>,
}

/// A tab.
pub struct Node {
    /// The user of the page; `None` where tabs don't share, and each is its own leader.
    pub user: Option<String>,
    name: String,
    tab: RefCell<Tab>,
    listeners: RefCell<BTreeMap<u64, Listener>>,
    channel: RefCell<Option<Channel>>,
    lead: RefCell<Option<Lead>>,
    part: RefCell<Option<AbortHandle>>,
    /// Whether the page is put aside: frozen, or kept for a way back.
    aside: Cell<bool>,
    /// How often the browser has said that its network went or came back.
    network: Cell<u32>,
    connection: Connection,
}

/// A place among the listeners; given back when dropped.
pub struct Subscription {
    node: Rc<Node>,
    name: u64,
}

impl Node {
    /// A tab of this user.
    pub fn new(user: Option<String>, connection: Connection) -> Rc<Self> {
        let node = Rc::new(Self {
            user: user.filter(|_| lock::is_there()),
            name: browser::request_id(),
            tab: RefCell::default(),
            listeners: RefCell::default(),
            channel: RefCell::default(),
            lead: RefCell::default(),
            part: RefCell::default(),
            aside: Cell::new(false),
            network: Cell::default(),
            connection,
        });
        node.mind_the_page();
        node
    }

    /// Watches something from the sequence after this one.
    pub fn subscribe(
        self: &Rc<Self>,
        topic: Topic,
        after: i64,
        listener: Listener,
    ) -> Subscription {
        let name = self.tab.borrow_mut().add(topic, after);
        self.listeners.borrow_mut().insert(name, listener);
        self.join(false);
        self.announce();
        let node = Rc::clone(self);
        Subscription { node, name }
    }

    /// Sends a letter from the leader to all tabs, this one included. News are left out where no
    /// other tab is known to want any.
    pub fn tell(&self, kind: Kind) {
        let is_news = matches!(&kind, Kind::News(news) if !is_heartbeat(news));
        let others = self.with_lead(|lead| lead.plan.has_others(&self.name));
        if !is_news || others == Some(true) {
            self.post(kind.clone());
        }
        self.hear_leader(kind);
    }

    /// Tells all tabs that something is not to be had, and forgets that it was wanted; `None` stands
    /// for everything.
    pub fn refuse(&self, topic: Option<Topic>, error: ApiError) {
        self.with_lead(|lead| lead.plan.refuse(topic.as_ref()));
        self.tell(Kind::Refused(Refused {
            topic,
            code: error.code,
            reason: error.reason,
            message: error.message,
        }));
    }

    /// Tells how the one stream is doing, if that is new.
    pub fn tell_state(&self, state: State) {
        let is_new = self.with_lead(|lead| {
            let is_new = lead.state != state;
            lead.state = state.clone();
            is_new
        });
        if is_new == Some(true) {
            self.tell(Kind::State(state));
        }
    }

    /// Works with what a leader has; `None` when this tab does not lead.
    pub fn with_lead<T>(&self, work: impl FnOnce(&mut Lead) -> T) -> Option<T> {
        self.lead.borrow_mut().as_mut().map(work)
    }

    /// Begins to lead, until the answer is dropped.
    pub fn take_lead(self: &Rc<Self>) -> (Leading, mpsc::Receiver<()>) {
        let (wake, woken) = mpsc::channel(0);
        *self.lead.borrow_mut() = Some(Lead {
            plan: Plan::default(),
            state: State::default(),
            wake,
        });
        self.post(Kind::Leads(Leads {}));
        self.announce();
        (Leading(Rc::downgrade(self)), woken)
    }

    /// Takes part in choosing a leader, unless it does already.
    fn join(self: &Rc<Self>, steal: bool) {
        if self.aside.get() || self.part.borrow().is_some() {
            return;
        }
        if let Some(user) = &self.user {
            let tab = Rc::downgrade(self);
            let hear = move |kind| {
                if let Some(tab) = tab.upgrade() {
                    tab.hear(kind);
                }
            };
            *self.channel.borrow_mut() = Channel::open(&shared_name(user), hear);
        }
        let (handle, registration) = AbortHandle::new_pair();
        *self.part.borrow_mut() = Some(handle);
        let part = Abortable::new(take_part(Rc::clone(self), steal), registration);
        spawn_local(async move {
            let _ = part.await;
        });
    }

    /// Gives up everything that other tabs could wait for.
    fn leave(&self) {
        self.post(self.letter(Vec::new()));
        if let Some(part) = self.part.take() {
            part.abort();
        }
        self.lead.take();
        self.channel.take();
    }

    fn put_aside(&self) {
        self.aside.set(true);
        self.leave();
    }

    fn come_back(self: &Rc<Self>) {
        if !self.aside.replace(false) || self.listeners.borrow().is_empty() {
            return;
        }
        self.tab.borrow_mut().ask_again();
        self.join(false);
        self.announce();
    }

    /// Tells the leader what this tab wants.
    fn announce(&self) {
        let wants = self.letter(self.tab.borrow().wants());
        if self.lead.borrow().is_some() {
            self.hear_wants(wants);
        } else {
            self.post(wants);
        }
        self.connection.set(self.tab.borrow().link());
    }

    fn letter(&self, wants: Vec<super::letters::Want>) -> Kind {
        Kind::Wants(Wants {
            tab: self.name.clone(),
            visible: !browser::is_hidden(),
            wants,
        })
    }

    fn post(&self, kind: Kind) {
        if let Some(channel) = &*self.channel.borrow() {
            channel.post(kind);
        }
    }

    fn hear(&self, kind: Kind) {
        if matches!(kind, Kind::Wants(_)) {
            self.hear_wants(kind);
        } else if self.lead.borrow().is_none() {
            self.hear_leader(kind);
        }
    }

    fn hear_wants(&self, kind: Kind) {
        let Kind::Wants(wants) = kind else { return };
        let (is_own, seen) = (wants.tab == self.name, wants.visible);
        let state = self.with_lead(|lead| {
            lead.plan.hear(wants);
            // Somebody who looks at a stream that is broken does not wait for a timer of this tab.
            let is_waited_for = seen && lead.state.health() == Health::Broken;
            if is_waited_for || lead.plan.is_stale() {
                // Full means that it has been told.
                let _ = lead.wake.try_send(());
            }
            lead.state.clone()
        });
        if let Some(state) = state.filter(|_| !is_own) {
            self.post(Kind::State(state));
        }
    }

    fn hear_leader(&self, kind: Kind) {
        let items = match kind {
            Kind::Leads(Leads {}) => return self.announce(),
            Kind::State(state) => {
                self.tab.borrow_mut().hear_state(state);
                Vec::new()
            }
            Kind::News(news) if is_heartbeat(&news) => return self.answer(news),
            Kind::News(news) => self.tab.borrow_mut().take(news),
            Kind::Refused(refused) => self.tab.borrow_mut().refuse(refused),
            Kind::Wants(_) => return,
        };
        for (name, item) in items {
            let listener = self.listeners.borrow().get(&name).cloned();
            if let Some(listener) = listener {
                listener(item);
            }
        }
        self.connection.set(self.tab.borrow().link());
    }

    /// Answers a heartbeat: this tab is there, and wants this.
    fn answer(&self, news: News) {
        {
            let mut tab = self.tab.borrow_mut();
            tab.take(news);
            tab.mend();
        }
        if !self.listeners.borrow().is_empty() {
            self.announce();
        }
    }

    fn tick(self: &Rc<Self>) {
        if self.lead.borrow().is_some() || self.part.borrow().is_none() {
            return;
        }
        let lost = self.tab.borrow_mut().tick(browser::now());
        let link = self.tab.borrow().link();
        self.connection.set(link);
        if browser::is_hidden() {
            return;
        }
        if lost {
            self.leave();
            self.tab.borrow_mut().ask_again();
            self.join(true);
        } else if matches!(link, Link::Broken { .. }) {
            self.announce();
        }
    }

    /// Has the one who reads the stream look whether it is still the right one.
    pub fn wake(&self) {
        self.with_lead(|lead| lead.wake.try_send(()));
    }

    /// How often the network has changed until now.
    pub fn network(&self) -> u32 {
        self.network.get()
    }

    fn network_changed(&self) {
        self.network.set(self.network.get().wrapping_add(1));
        self.wake();
    }

    /// Listens to what happens to the page, for as long as it lives.
    fn mind_the_page(self: &Rc<Self>) {
        let on = |target: &web_sys::EventTarget, name: &str, act: fn(&Rc<Self>)| {
            let tab = Rc::downgrade(self);
            browser::listen(target, name, move || {
                if let Some(tab) = tab.upgrade() {
                    act(&tab);
                }
            });
        };
        on(&window(), "pagehide", |tab| tab.put_aside());
        on(&window(), "pageshow", Self::come_back);
        on(&window(), "online", |tab| tab.network_changed());
        on(&window(), "offline", |tab| tab.network_changed());
        on(&document(), "freeze", |tab| tab.put_aside());
        on(&document(), "resume", Self::come_back);
        on(&document(), "visibilitychange", |tab| tab.seen());
        let tab = Rc::downgrade(self);
        set_interval(
            move || {
                if let Some(tab) = tab.upgrade() {
                    tab.tick();
                }
            },
            TICK,
        );
    }

    fn seen(&self) {
        if !self.aside.get() && !browser::is_hidden() && !self.listeners.borrow().is_empty() {
            self.announce();
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.node.tab.borrow_mut().remove(self.name);
        self.node.listeners.borrow_mut().remove(&self.name);
        self.node.announce();
    }
}

/// As long as it is held, this tab leads.
pub struct Leading(Weak<Node>);

impl Drop for Leading {
    fn drop(&mut self) {
        if let Some(node) = self.0.upgrade() {
            node.lead.take();
        }
    }
}

async fn take_part(node: Rc<Node>, mut steal: bool) {
    let Some(user) = node.user.clone() else {
        return leader::lead(node).await;
    };
    loop {
        let Some(mut lock) = lock::acquire(&shared_name(&user), steal).await else {
            // The browser has locks and refuses one: this tab goes its own way.
            node.channel.take();
            return leader::lead(node).await;
        };
        steal = false;
        let lead = Box::pin(leader::lead(Rc::clone(&node)));
        select(lead, Box::pin(lock.lost())).await;
    }
}

/// The name of what tabs of one user share. Another user of the same browser shares nothing of it.
fn shared_name(user: &str) -> String {
    format!("membrane/stream/{user}")
}

fn is_heartbeat(news: &News) -> bool {
    let kind = news
        .response
        .as_ref()
        .and_then(|response| response.kind.as_ref());
    matches!(kind, Some(Message::Heartbeat(_)))
}
