//! What the first view says about what waits.

use crate::harness::{READ_TOKEN, World};
use crate::page::browser::{Browser, PAGE, Served};

/// Everything is in order, then a person pauses the channel, and both are said in words.
#[tokio::test]
async fn the_first_view_says_what_waits_and_why() {
    let mut world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let browser = Browser::of(&served, "Maria", READ_TOKEN).await;
    world.sql("update delivery set address = '2 New Street' where id = 1").await;
    world.settle().await;
    let seen = browser.get("/now").await;
    assert!(seen.has("<p class=\"good\">Nothing.</p>"), "{}", seen.text);
    assert!(seen.has("1 changes, 1 sent, 0 delivered, 0 failed"), "{}", seen.text);
    assert!(seen.has("home_delivery") && seen.has("public.delivery"), "{}", seen.text);
    let pause = "insert into rowbell.pause (kind, name, reason) values ('channel', 'main', 'the <token> is renewed')";
    world.sql(pause).await;
    world.sql("update delivery set address = '3 New Street' where id = 1").await;
    world.settle().await;
    let seen = browser.get("/now").await;
    assert!(seen.has("A person has paused channel main"), "{}", seen.text);
    assert!(seen.has("the &lt;token&gt; is renewed"), "what people write is text, never markup");
    assert!(seen.has("1 for a stop"), "{}", seen.text);
}

/// A browser that runs the script is sent the view again and again; the first time at once.
#[tokio::test]
async fn the_first_view_is_kept_up_to_date() {
    let world = World::with_settings(PAGE).await;
    let served = Served::of(&world).await;
    let browser = Browser::of(&served, "Maria", READ_TOKEN).await;
    let mut live = browser.request(reqwest::Method::GET, "/now/live").send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    assert_eq!(live.headers()["cache-control"], "no-store");
    let mut text = String::new();
    while !text.contains("\n\n") {
        text += &String::from_utf8_lossy(&live.chunk().await.unwrap().unwrap());
    }
    assert!(text.starts_with("data: <dl class=\"tiles\">"), "{text}");
}
