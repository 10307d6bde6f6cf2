from hypothesis import given
from hypothesis import strategies as st

from policy.masking import mask_id_number, mask_mobile, mask_name


def test_masks() -> None:
    assert mask_mobile("13812345678") == "138****5678"
    assert mask_id_number("110101199001011234") == "110*************34"
    assert mask_name("王小明") == "王**"
    assert mask_name("王") == "王"
    assert mask_name("") == mask_mobile("") == ""


@given(st.text(max_size=30))
def test_a_mask_hides_at_least_four_characters_or_all(text: str) -> None:
    for mask in (mask_mobile, mask_id_number):
        masked = mask(text)
        hidden = sum(1 for shown, true in zip(masked, text, strict=True) if shown == "*" or shown != true)
        assert hidden >= min(4, len(text))
