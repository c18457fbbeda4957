import pytest

from qvec import BitVec, QVec8


def test_bits_in_all_forms():
    bits = BitVec("1011001110")
    assert len(bits) == 10 and bytes(bits) == b"\xb3\x80"
    assert BitVec.from_binary(bits.to_binary()) == bits == BitVec([1, 0, 1, 1, 0, 0, 1, 1, 1, 0])
    assert BitVec(b"\xb3").to_text() == "10110011" == str(BitVec("10110011"))
    assert BitVec.packed(b"\xb3\x80", 10) == bits and hash(BitVec(bits)) == hash(bits)
    assert list(bits)[:3] == [True, False, True]
    assert BitVec.quantize([0.5, 0, -0.0, 1e-9]).to_text() == "1001"


@pytest.mark.parametrize("wrong", ["", "102", [], b""])
def test_bits_refused(wrong):
    with pytest.raises(ValueError):
        BitVec(wrong)


def test_padding_refused():
    with pytest.raises(ValueError):
        BitVec.packed(b"\xff", 7)
    with pytest.raises(ValueError):
        BitVec.packed(b"\xff", 9)


@pytest.mark.parametrize(
    "text", ["[12,-3,127]", "[1]*0.0078", "[1,-128]*1e-05-0.5", "[1]+0.25", "[0]*3e+38+1e-10", "[5]*0.1-1e-45"]
)
def test_codes_text(text):
    assert QVec8.from_text(text).to_text().replace("e+", "e").replace("e-0", "e-") == text.replace("e+", "e").replace("e-0", "e-")
    assert QVec8.from_binary(QVec8.from_text(text).to_binary()) == QVec8.from_text(text)


def test_codes():
    assert QVec8([1, -2], 0.5, 1).to_list() == [1.5, 0.0]
    assert QVec8.quantize([1, -2, 3]).to_text() == "[42,-85,127]*0.023622047"
    assert len(QVec8([1, 2])) == 2 and QVec8([1, 2]) != QVec8([1, 2], 2)
    for wrong in ([], [128]):
        with pytest.raises(ValueError):
            QVec8(wrong)
    for scale in (0, -1, float("inf"), float("nan")):
        with pytest.raises((ValueError, OverflowError)):
            QVec8([1], scale)


def test_numpy():
    numpy = pytest.importorskip("numpy")
    bits = numpy.array([1, 0, 1, 1, 0, 0, 1, 1, 1], bool)
    assert BitVec(bits).to_text() == "101100111"
    assert (BitVec(bits).to_numpy() == bits).all()
    assert BitVec(numpy.packbits(bits)).to_text() == "1011001110000000"
    assert BitVec.packed(numpy.packbits(bits), 9) == BitVec(bits)
    assert QVec8(numpy.array([1, -2], numpy.int8), 0.5).to_numpy().tolist() == [0.5, -1]
