"""A device of paho Python, as strangers.test.ts wants it."""

import os
import queue

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

connected, subscribed, acknowledged, told = (queue.Queue() for _ in range(4))


def number(reason):
    return reason.value


def on_connect(client, userdata, flags, reason, properties):
    connected.put(number(reason))


def on_subscribe(client, userdata, mid, reasons, properties):
    subscribed.put(number(reasons[0]))


def on_publish(client, userdata, mid, reason, properties):
    acknowledged.put(f"{number(reason)} {getattr(properties, 'ReasonString', '')}")


def on_message(client, userdata, message):
    told.put(message.topic)


def publish(topic):
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/json"
    properties.MessageExpiryInterval = 60
    properties.UserProperty = ("site", "north")
    client.publish(topic, '{"ts":1763900000123,"temperature":21.3}', qos=1, properties=properties)
    print("puback", acknowledged.get(timeout=60))


client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="truck-7", protocol=mqtt.MQTTv5)
client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_publish, client.on_message = on_publish, on_message
client.username_pw_set("truck-7", os.environ["TELLTALE_TOKEN"])
properties = Properties(PacketTypes.CONNECT)
properties.SessionExpiryInterval = 60
properties.ReceiveMaximum = 10
properties.UserProperty = ("firmware", "1.4")
client.connect("127.0.0.1", int(os.environ["PORT"]), clean_start=True, properties=properties)
client.loop_start()
print("connack", connected.get(timeout=60))
client.subscribe("devices/truck-7/errors", qos=1)
print("suback", subscribed.get(timeout=60))
publish("devices/truck-7/telemetry/environment")
publish("devices/truck-8/telemetry/environment")
print("told", told.get(timeout=60))
client.disconnect()
client.loop_stop()
