from urllib.parse import quote

import pytest

from chassis.provider import Provider, node_name, parse_node_name

PLAIN = Provider("banyan.a.v1.Org", "10.0.0.7", 50051, "a_svc", ("Get", "List"), 1700000000123)


def test_the_url_is_encoded_once_in_upper_case_hex():
    assert node_name(PLAIN) == (
        "tri%3A%2F%2F10.0.0.7%3A50051%2Fbanyan.a.v1.Org%3Fapplication%3Da_svc%26deprecated%3Dfalse%26dubbo%3D2.0.2"
        "%26dynamic%3Dtrue%26generic%3Dfalse%26interface%3Dbanyan.a.v1.Org%26methods%3DGet%2CList"
        "%26release%3Dbanyan-0.1%26serialization%3Dprotobuf%26side%3Dprovider%26timestamp%3D1700000000123"
    )


@pytest.mark.parametrize(
    "provider",
    [
        PLAIN,
        Provider("a.B", "10.0.0.7", 1, weight=0, tag="gray", disabled=True),
        Provider("a.B", "fe80::1", 65535, weight=7),
    ],
)
def test_what_is_written_is_read_again(provider: Provider):
    assert parse_node_name(node_name(provider)) == provider


def test_a_java_providers_node_is_read():
    url = (
        "tri://192.168.1.5:50052/org.Greeter?application=java-app&background=false&deprecated=false&dubbo=2.0.2"
        "&dynamic=true&interface=org.Greeter&methods=sayHello,sayHelloAsync&note=two words"
        "&prefer.serialization=hessian2,fastjson2&release=3.3.6&side=provider&timestamp=1700000000000&weight=50"
    )
    read = parse_node_name(quote(url, safe="").replace("%20", "+"))
    assert read == Provider(
        *("org.Greeter", "192.168.1.5", 50052, "java-app", ("sayHello", "sayHelloAsync")), 1700000000000, 50
    )


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("dubbo://10.0.0.1:20880/a.B?interface=a.B", id="another protocol"),
        pytest.param("tri://some-host:50051/a.B?interface=a.B", id="a name, not an address"),
        pytest.param("tri://10.0.0.1/a.B?interface=a.B", id="no port"),
        pytest.param("tri://10.0.0.1:99999/a.B?interface=a.B", id="no such port"),
        pytest.param("tri://10.0.0.1:50051/a.B?weight=much", id="a weight that is no number"),
        pytest.param("nonsense", id="nonsense"),
    ],
)
def test_what_cannot_be_called_is_no_provider(url: str):
    assert parse_node_name(quote(url, safe="")) is None


def test_enabled_false_switches_off_too():
    read = parse_node_name(quote("tri://10.0.0.1:50051/a.B?interface=a.B&enabled=false", safe=""))
    assert read is not None
    assert read.disabled
