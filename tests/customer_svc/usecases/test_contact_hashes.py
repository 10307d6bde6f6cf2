from services.customer_svc.domain.conditions import AllOf, AnyOf, IdentityCondition, Not, TagCondition
from services.customer_svc.usecases.contact_hashes import hashed


def test_numbers_are_hashed_however_deep_they_stand_and_however_they_are_written(data_keys):
    plain = IdentityCondition(mobile="13812345678")
    written = IdentityCondition(mobile="+86 138-1234-5678")
    tags = TagCondition(any_of=("CHURN_RISK",))
    [alone] = hashed([plain], data_keys)
    assert isinstance(alone, IdentityCondition)
    assert len(alone.mobile_hashes) == 1
    assert alone.id_number_hashes == ()
    found = hashed([AllOf((AnyOf((written, tags)), Not(written)))], data_keys)
    assert found == (
        AllOf(
            (
                AnyOf((IdentityCondition(mobile=written.mobile, mobile_hashes=alone.mobile_hashes), tags)),
                Not(IdentityCondition(mobile=written.mobile, mobile_hashes=alone.mobile_hashes)),
            )
        ),
    )


def test_what_no_number_can_be_has_no_hash(data_keys):
    [condition] = hashed([IdentityCondition(mobile="9" * 1_000_000, id_number="---")], data_keys)
    assert isinstance(condition, IdentityCondition)
    assert (condition.mobile_hashes, condition.id_number_hashes) == ((), ())
