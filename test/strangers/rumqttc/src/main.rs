//! A device of rumqttc, as strangers.test.ts wants it.

use rumqttc::v5::mqttbytes::v5::{
    ConnectProperties, Packet, PubAckReason, PublishProperties, SubscribeReasonCode,
};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{Client, Connection, Event, Incoming, MqttOptions};

fn until<T>(connection: &mut Connection, found: impl Fn(&Packet) -> Option<T>) -> T {
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(packet)) => {
                if let Some(value) = found(&packet) {
                    return value;
                }
            }
            Ok(Event::Outgoing(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the connection has ended")
}

fn publish(client: &Client, connection: &mut Connection, topic: &str) {
    let properties = PublishProperties {
        content_type: Some("application/json".into()),
        message_expiry_interval: Some(60),
        user_properties: vec![("site".into(), "north".into())],
        ..Default::default()
    };
    let reading = r#"{"ts":1763900000123,"temperature":21.3}"#;
    client
        .publish_with_properties(topic, QoS::AtLeastOnce, false, reading, properties)
        .unwrap();
    let (code, words) = until(connection, |packet| match packet {
        Incoming::PubAck(puback) => {
            let words = puback.properties.as_ref().and_then(|all| all.reason_string.clone());
            let code = match puback.reason {
                PubAckReason::Success => 0,
                PubAckReason::NotAuthorized => 0x87,
                other => panic!("{other:?}"),
            };
            Some((code, words.unwrap_or_default()))
        }
        _ => None,
    });
    println!("puback {code} {words}");
}

fn main() {
    let port = std::env::var("PORT").unwrap().parse().unwrap();
    let token = std::env::var("TELLTALE_TOKEN").unwrap();
    let mut options = MqttOptions::new("truck-7", "127.0.0.1", port);
    options.set_credentials("truck-7", token).set_clean_start(true);
    options.set_connect_properties(ConnectProperties {
        session_expiry_interval: Some(60),
        receive_maximum: Some(10),
        user_properties: vec![("firmware".into(), "1.4".into())],
        ..ConnectProperties::new()
    });
    let (client, mut connection) = Client::new(options, 10);
    let connack = until(&mut connection, |packet| match packet {
        Incoming::ConnAck(connack) => Some(connack.code as u8),
        _ => None,
    });
    println!("connack {connack}");
    client.subscribe("devices/truck-7/errors", QoS::AtLeastOnce).unwrap();
    let suback = until(&mut connection, |packet| match packet {
        Incoming::SubAck(suback) => match suback.return_codes[0] {
            SubscribeReasonCode::Success(qos) => Some(qos as u8),
            other => panic!("{other:?}"),
        },
        _ => None,
    });
    println!("suback {suback}");
    publish(&client, &mut connection, "devices/truck-7/telemetry/environment");
    publish(&client, &mut connection, "devices/truck-8/telemetry/environment");
    let told = until(&mut connection, |packet| match packet {
        Incoming::Publish(publish) => Some(String::from_utf8(publish.topic.to_vec()).unwrap()),
        _ => None,
    });
    println!("told {told}");
    client.disconnect().unwrap();
}
