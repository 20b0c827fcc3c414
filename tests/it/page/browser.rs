//! A browser without JavaScript, over real HTTP: it keeps its cookie, follows no redirect by itself, and finds the
//! token of a form on the page that it has loaded.

use std::sync::Mutex;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use rowbell::http::sockets::Sockets;
use rowbell::page::server::PageServer;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::{CONFIG, SHOP, World};

/// The section of the configuration.
pub const PAGE: &str = r#"
[page]
listen = "127.0.0.1:0"
read_token_file = "{folder}/page.read"
act_token_file = "{folder}/page.act"
"#;

/// A shop that has a page, and in which more than five deliveries that move at once are a storm.
pub async fn careful_shop() -> World {
    let config = CONFIG.replace("{settings}", PAGE);
    let storm = "storm = { transaction = 5, minute = 0 }\nquiet_hours = []";
    World::over(SHOP, &config, storm).await
}

/// Twenty deliveries move at once, and wait.
pub async fn move_twenty(world: &mut World) {
    world
        .sql(
            "insert into delivery select i, 1 + i % 2, 'planned', 'YEAR-06-24 08:00Z', 'YEAR-06-24 10:00Z', 'start'
               from generate_series(101, 120) i; delete from rowbell.change;
             update delivery set address = 'Dock 7' where id > 100",
        )
        .await;
    world.settle().await;
}

/// How many messages there are in each state.
pub async fn states(world: &World) -> String {
    let states = "select string_agg(s, ', ' order by s) from (select state || ' ' || count(*) as s
                    from rowbell.message group by state) as s";
    world.value(states).await
}

/// The page of a world, served.
pub struct Served {
    pub url: String,
    _stop: DropGuard,
}

impl Served {
    pub async fn of(world: &World) -> Served {
        let server =
            PageServer::bind(&world.stages.context, &mut Sockets::default()).unwrap().unwrap();
        let url = format!("http://{}", server.address().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(server.run(stop.clone()));
        Served { url, _stop: stop.drop_guard() }
    }
}

/// What a browser shows.
#[derive(Debug)]
pub struct Seen {
    pub status: StatusCode,
    pub location: Option<String>,
    pub cookie: Option<String>,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Seen {
    pub fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// The value of the first hidden field of a name.
    pub fn hidden(&self, name: &str) -> String {
        let field = format!("name=\"{name}\" value=\"");
        let at = self.text.find(&field).unwrap_or_else(|| panic!("no {name}: {}", self.text));
        self.text[at + field.len()..].split('"').next().unwrap().to_owned()
    }
}

pub struct Browser {
    client: Client,
    url: String,
    cookie: Mutex<Option<String>>,
}

impl Browser {
    pub fn new(served: &Served) -> Browser {
        let client = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Browser { client, url: served.url.clone(), cookie: Mutex::default() }
    }

    /// A browser that has logged in.
    pub async fn of(served: &Served, name: &str, token: &str) -> Browser {
        let browser = Browser::new(served);
        let seen = browser.post("/login", &[("name", name), ("token", token)]).await;
        assert_eq!(seen.location.as_deref(), Some("/now"), "{seen:?}");
        browser
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match self.cookie.lock().unwrap().as_ref() {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Seen {
        self.seen(self.request(Method::GET, path).send().await.unwrap()).await
    }

    /// Posts these fields and no others.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let request = self.request(Method::POST, path);
        self.sent(request, fields).await
    }

    pub async fn sent(&self, request: RequestBuilder, fields: &[(&str, &str)]) -> Seen {
        let body =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = body.collect::<Vec<_>>().join("&");
        let request =
            request.header("content-type", "application/x-www-form-urlencoded").body(body);
        self.seen(request.send().await.unwrap()).await
    }

    /// Fills in a form that stands on the page `at`, and sends it.
    pub async fn submit(&self, at: &str, path: &str, fields: &[(&str, &str)]) -> Seen {
        let page = self.get(at).await;
        assert!(
            page.has(&format!("action=\"{path}\"")),
            "no form for {path} on {at}: {}",
            page.text
        );
        let token = page.hidden("form_token");
        let fields = [fields, &[("form_token", token.as_str())]].concat();
        self.post(path, &fields).await
    }

    async fn seen(&self, answer: Response) -> Seen {
        let headers = answer.headers().clone();
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (cookie, location) = (text(SET_COOKIE), text(LOCATION));
        if let Some(cookie) = &cookie {
            *self.cookie.lock().unwrap() = cookie.split(';').next().map(str::to_owned);
        }
        Seen {
            status: answer.status(),
            location,
            cookie,
            headers,
            text: answer.text().await.unwrap(),
        }
    }
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let bytes = text.bytes();
    bytes.map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
