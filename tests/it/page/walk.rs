//! A person walks through the page in a real browser: narrow and wide, light and dark, with and without JavaScript.

use std::time::Duration;

use rowbell_lab::sandbox::{Fault, FaultRule};

use crate::harness::{ACT_TOKEN, World};
use crate::page::browser::{Served, careful_shop, move_twenty, states};
use crate::page::real_browser::{Chromium, Look};

/// A doubt about Maria's delivery, then a storm of twenty that waits.
async fn shop() -> (World, Served) {
    let mut world = careful_shop().await;
    world.sandbox.set_faults(vec![FaultRule::next(1, Fault::Lost { status: 504 })]);
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    world.pass(Duration::from_secs(600));
    world.work().await;
    move_twenty(&mut world).await;
    let served = Served::of(&world).await;
    (world, served)
}

async fn log_in(browser: &Chromium, served: &Served, token: &str) {
    browser.go(&format!("{}/login", served.url)).await;
    browser.type_in("#name", "Olga").await;
    browser.type_in("#token", token).await;
    browser.submit("form.login button", false).await;
}

/// Every view, one after the other: nothing for axe to find, nothing wider than the window. axe needs a browser that runs
/// scripts; without them the page is the same.
async fn look_at_all(browser: &Chromium, served: &Served, look: Look) {
    let mut wrong = Vec::new();
    for path in VIEWS {
        browser.go(&format!("{}{path}", served.url)).await;
        if look.has_scripts {
            wrong.extend(
                browser.violations().await.into_iter().map(|found| format!("{path}: {found}")),
            );
        }
        let wide =
            browser.eval("return document.documentElement.scrollWidth - window.innerWidth").await;
        if wide.as_i64().unwrap() > 0 {
            wrong.push(format!("{path} is {wide} pixels too wide"));
        }
        if let Some(folder) = std::env::var_os("ROWBELL_SCREENSHOTS") {
            keep(&folder, path, look, &browser.picture().await);
        }
    }
    assert!(wrong.is_empty(), "{look:?}: {wrong:#?}");
}

const VIEWS: [&str; 8] = [
    "/now",
    "/messages",
    "/message/1",
    "/holds",
    "/figures",
    "/watches",
    "/watches/home_delivery",
    "/nothing",
];

fn keep(folder: &std::ffi::OsStr, path: &str, look: Look, picture: &str) {
    let name = path.trim_start_matches('/').replace('/', "-");
    let scheme = if look.is_dark { "dark" } else { "light" };
    let file =
        std::path::Path::new(folder).join(format!("{name}-{}-{scheme}.png.base64", look.width));
    std::fs::write(file, picture).unwrap();
}

/// With JavaScript, wide and light: a wrong token, then the right one; all views; the storm is approved after the page has
/// asked; the view of what waits is kept up to date without being loaded again.
#[tokio::test]
async fn a_person_walks_through_the_page() {
    let (mut world, served) = shop().await;
    let look = Look { width: 1440, is_dark: false, has_scripts: true };
    let browser = Chromium::open(look).await;
    log_in(&browser, &served, "a-wrong-token").await;
    assert!(browser.source().await.contains("not known here"));
    log_in(&browser, &served, ACT_TOKEN).await;
    look_at_all(&browser, &served, look).await;
    browser.go(&format!("{}/holds", served.url)).await;
    browser.submit("form[action='/hold/1/approved'] button[name=all]", true).await;
    assert!(browser.source().await.contains("20 messages of hold 1"));
    world.settle().await;
    assert_eq!(states(&world).await, "sent 20, unconfirmed 1");
    browser.go(&format!("{}/now", served.url)).await;
    world.sql("insert into rowbell.pause (kind, name) values ('channel', 'main')").await;
    let news = "const done = arguments[arguments.length - 1];
        const look = () => document.body.innerText.includes('A person has paused channel main') ? done(true) : setTimeout(look, 50);
        look()";
    world.clock.advance(Duration::from_secs(3));
    assert_eq!(browser.eval_later(news).await, true, "the server tells the browser");
}

/// Without JavaScript, narrow and dark: the same views, and the doubt is marked as arrived.
#[tokio::test]
async fn a_person_walks_through_the_page_on_a_phone_without_javascript() {
    let (world, served) = shop().await;
    let look = Look { width: 360, is_dark: true, has_scripts: false };
    let browser = Chromium::open(look).await;
    log_in(&browser, &served, ACT_TOKEN).await;
    assert!(browser.source().await.contains("What needs a person"));
    look_at_all(&browser, &served, look).await;
    browser.go(&format!("{}/holds", served.url)).await;
    browser.type_in("form[action='/message/1/settled'] input[name=reason]", "she called").await;
    browser.submit("form[action='/message/1/settled'] button[value=arrived]", false).await;
    assert!(browser.source().await.contains("said that it arrived: she called"));
    assert_eq!(states(&world).await, "delivered 1");
}

/// The other two ways of looking.
#[tokio::test]
async fn narrow_and_light_or_wide_and_dark_are_as_good() {
    let (_world, served) = shop().await;
    for look in [
        Look { width: 360, is_dark: false, has_scripts: true },
        Look { width: 1440, is_dark: true, has_scripts: true },
    ] {
        let browser = Chromium::open(look).await;
        log_in(&browser, &served, ACT_TOKEN).await;
        look_at_all(&browser, &served, look).await;
    }
}
