package io.forebay.core.codec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

final class RecordCodecTest {
  record Scalars(int a, long b, short c, byte d, boolean e, double f) {}

  record Name(String text) implements Comparable<Name> {
    Name {
      if (text.length() > 40) {
        throw new IllegalArgumentException("name too long");
      }
    }

    @Override
    public int compareTo(Name other) {
      return text.compareTo(other.text);
    }
  }

  enum Colour {
    RED,
    GREEN,
    BLUE
  }

  record Holder(
      Name name,
      Colour colour,
      List<Name> names,
      SortedMap<String, Integer> counts,
      Map<Name, Optional<Long>> stamps,
      Optional<Holder> inner,
      Bag bag) {}

  /** Arrays in records have no equality of their own. */
  record Bag(byte[] bytes) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Bag bag && Arrays.equals(bytes, bag.bytes);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(bytes);
    }
  }

  sealed interface Shape {
    @Tag(1)
    record Dot() implements Shape {}

    @Tag(300)
    record Text(String text, Optional<Shape> next) implements Shape {}

    sealed interface Round extends Shape {}

    @Tag(7)
    record Circle(int radius) implements Round {}

    @Tag(8)
    record Group(List<Shape> shapes) implements Round {}
  }

  record Before(int a, String b) {}

  record After(int a, String b, long c, List<Name> d, Optional<Name> e, boolean f) {}

  record Tree(List<Tree> branches) {}

  @Test
  void scalarsAreFixedWidthAndBigEndian() {
    pins(
        new Scalars(1, -2, (short) 3, (byte) -4, true, 1.0),
        "00000001" + "fffffffffffffffe" + "0003" + "fc" + "01" + "3ff0000000000000");
  }

  @Test
  void compositesStandBehindTheirLength() {
    var counts = new TreeMap<String, Integer>();
    counts.put("b", 2);
    counts.put("a", 1);
    var stamps = new HashMap<Name, Optional<Long>>();
    stamps.put(new Name("y"), Optional.empty());
    stamps.put(new Name("x"), Optional.of(5L));
    pins(
        new Holder(
            new Name("né"),
            Colour.BLUE,
            List.of(new Name(""), new Name("q")),
            counts,
            stamps,
            Optional.empty(),
            new Bag(new byte[] {9, 8})),
        "036ec3a9" // "né": three bytes of UTF-8; a record around one value is like the value
            + "02" // BLUE
            + "02"
            + "00"
            + "0171"
            + "02"
            + "016100000001"
            + "016200000002"
            + "02"
            + "0178"
            + "010000000000000005"
            + "0179"
            + "00"
            + "00"
            + "020908");
  }

  @Test
  void choicesStandBehindTheirTagAlsoBelowASubInterface() {
    pins(new Shape.Dot(), Shape.class, "01");
    pins(
        new Shape.Text("t", Optional.of(new Shape.Circle(1))),
        Shape.class,
        "ac02" + "0174" + "01" + "07" + "00000001");
    pins(new Shape.Circle(2), Shape.Round.class, "07" + "00000002");
    pins(new Shape.Circle(2), Shape.Circle.class, "00000002");
  }

  @Test
  void lengthsAreVarints() {
    byte[] encoded = RecordCodec.of(Bag.class).encode(new Bag(new byte[300]));
    assertThat(Arrays.copyOf(encoded, 2)).containsExactly(0xac, 0x02);
    assertThat(encoded).hasSize(302);
  }

  @Test
  void whatAnOlderWriterDidNotKnowIsEmpty() {
    byte[] older = RecordCodec.of(Before.class).encode(new Before(3, "x"));
    assertThat(RecordCodec.of(After.class).decode(older))
        .isEqualTo(new After(3, "x", 0, List.of(), Optional.empty(), false));
  }

  @Test
  void whatANewerWriterAddedIsRefused() {
    byte[] newer =
        RecordCodec.of(After.class)
            .encode(new After(3, "x", 1, List.of(), Optional.empty(), false));
    assertCorrupt(Before.class, newer, "bytes too many at position 6");
  }

  @Test
  void aValueIsNeverReadFromNothing() {
    assertCorrupt(Before.class, new byte[0], "Before.a: needs 4 bytes where 0 are left");
  }

  @Test
  void theErrorNamesRecordFieldAndPosition() {
    assertCorrupt(Before.class, bytes("0000000005"), "Before.b: announces 5 where 0 bytes");
    assertCorrupt(Shape.class, bytes("0a"), "Shape has no choice with tag 10 at position 0");
    assertCorrupt(Bag.class, bytes("8100ff"), "Bag.bytes: a number written longer than it is");
    assertCorrupt(Bag.class, bytes("ffffffff7f"), "Bag.bytes: a number of more than 31 bits");
    assertCorrupt(Name.class, bytes("02c328"), "Name.text: text that is no UTF-8 at position 1");
    assertCorrupt(
        Name.class, bytes("29" + "61".repeat(41)), "Name: impossible value (name too long)");
  }

  @Test
  void mapsOutOfOrderAndOtherSpellingsAreRefused() {
    record Counts(Map<String, Boolean> counts) {}
    assertCorrupt(Counts.class, bytes("02" + "016201" + "016101"), "map keys out of order");
    assertCorrupt(Counts.class, bytes("02" + "016101" + "016101"), "map keys out of order");
    assertCorrupt(Counts.class, bytes("01" + "016102"), "neither 0 nor 1: 2");
  }

  @Test
  void aLyingCountAllocatesNothing() {
    assertCorrupt(Tree.class, bytes("ffffffff07"), "announces 2147483647 where 0 bytes are left");
  }

  @Test
  void depthIsBounded() {
    assertCorrupt(Tree.class, bytes("01".repeat(1_000_000) + "00"), "nest deeper than 64");
    Tree deep = new Tree(List.of());
    for (int i = 0; i < 64; i++) {
      deep = new Tree(List.of(deep));
    }
    Tree tooDeep = deep;
    assertThatThrownBy(() -> RecordCodec.of(Tree.class).encode(tooDeep))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void replacementCharactersAreTextButLoneSurrogatesAreNot() {
    RecordCodec<Name> codec = RecordCodec.of(Name.class);
    assertThat(codec.decode(codec.encode(new Name("\uFFFD😀")))).isEqualTo(new Name("\uFFFD😀"));
    for (String lone : List.of("\uD83D", "\uDE00", "\uD83Dx", "\uDE00\uD83D")) {
      assertThatThrownBy(() -> codec.encode(new Name(lone)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("lone surrogate");
    }
  }

  @Test
  void typesWithoutALayoutAreRefusedByName() {
    record Bad(Name name, List<Object> things) {}
    record Nothing() {}
    record Nothings(List<Nothing> list) {}
    assertThatThrownBy(() -> RecordCodec.of(Bad.class))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Bad.things: java.lang.Object has no layout");
    assertThatThrownBy(() -> RecordCodec.of(Nothings.class)).hasMessageContaining("no bytes");
    assertThatThrownBy(() -> RecordCodec.of(String.class)).hasMessageContaining("neither a record");
    assertThatThrownBy(() -> RecordCodec.of(Twice.class)).hasMessageContaining("have tag 1");
    assertThatThrownBy(() -> RecordCodec.of(Untagged.class)).hasMessageContaining("needs a @Tag");
  }

  sealed interface Twice {
    @Tag(1)
    record One(int a) implements Twice {}

    sealed interface Below extends Twice {}

    @Tag(1)
    record Two(int a) implements Below {}
  }

  sealed interface Untagged {
    record One(int a) implements Untagged {}
  }

  @Test
  void anyValueComesBackEqualAndHasOneSpelling() {
    long seed = 20261124;
    var random = new SplittableRandom(seed);
    RecordCodec<Holder> holders = RecordCodec.of(Holder.class);
    RecordCodec<Shape> shapes = RecordCodec.of(Shape.class);
    for (int i = 0; i < 2_000; i++) {
      Holder holder = holder(random, 3);
      byte[] encoded = holders.encode(holder);
      Holder decoded = holders.decode(encoded);
      assertThat(decoded).as("seed %d, value %d", seed, i).isEqualTo(holder);
      assertThat(holders.encode(decoded)).isEqualTo(encoded);
      Shape shape = shape(random, 4);
      assertThat(shapes.decode(shapes.encode(shape))).isEqualTo(shape);
    }
  }

  @Test
  void damagedBytesAreCorruptOrAnotherValueAndNothingElse() {
    long seed = 7;
    var random = new SplittableRandom(seed);
    RecordCodec<Holder> codec = RecordCodec.of(Holder.class);
    int corrupt = 0;
    for (int i = 0; i < 30_000; i++) {
      byte[] bytes;
      if (i % 3 == 0) {
        bytes = new byte[random.nextInt(40)];
        random.nextBytes(bytes);
      } else {
        bytes = codec.encode(holder(random, 2));
        if (i % 3 == 1) {
          bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length));
        } else {
          bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
        }
      }
      try {
        Holder value = codec.decode(bytes);
        // What it is taken for has this spelling, but for fields left out at its end.
        byte[] again = codec.encode(value);
        assertThat(Arrays.copyOf(again, bytes.length))
            .as("seed %d, case %d", seed, i)
            .isEqualTo(bytes);
      } catch (ForebayException refused) {
        assertThat(refused.code()).as("seed %d, case %d", seed, i).isEqualTo(ErrorCode.CORRUPT);
        corrupt++;
      }
    }
    assertThat(corrupt).isGreaterThan(15_000);
  }

  private static Holder holder(SplittableRandom random, int depth) {
    List<Name> names = new ArrayList<>();
    SortedMap<String, Integer> counts = new TreeMap<>();
    Map<Name, Optional<Long>> stamps = new HashMap<>();
    for (int i = random.nextInt(5); i > 0; i--) {
      names.add(name(random));
      counts.put(name(random).text(), random.nextInt());
      stamps.put(
          name(random), random.nextBoolean() ? Optional.of(random.nextLong()) : Optional.empty());
    }
    var bag = new byte[random.nextInt(300)];
    random.nextBytes(bag);
    return new Holder(
        name(random),
        Colour.values()[random.nextInt(3)],
        names,
        counts,
        stamps,
        depth > 0 && random.nextBoolean()
            ? Optional.of(holder(random, depth - 1))
            : Optional.empty(),
        new Bag(bag));
  }

  private static Shape shape(SplittableRandom random, int depth) {
    return switch (random.nextInt(depth > 0 ? 4 : 2)) {
      case 0 -> new Shape.Dot();
      case 1 -> new Shape.Circle(random.nextInt());
      case 2 -> new Shape.Text(name(random).text(), Optional.of(shape(random, depth - 1)));
      default -> {
        List<Shape> shapes = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
          shapes.add(shape(random, depth - 1));
        }
        yield new Shape.Group(shapes);
      }
    };
  }

  private static Name name(SplittableRandom random) {
    var text = new StringBuilder();
    for (int i = random.nextInt(8); i > 0; i--) {
      text.appendCodePoint(
          switch (random.nextInt(4)) {
            case 0 -> 0x1F600 + random.nextInt(40);
            case 1 -> 0xFFFD;
            case 2 -> 0xE0 + random.nextInt(30);
            default -> 'a' + random.nextInt(26);
          });
    }
    return new Name(text.toString());
  }

  @SuppressWarnings("unchecked")
  private static <T> void pins(T value, String hex) {
    pins(value, (Class<T>) value.getClass(), hex);
  }

  private static <T> void pins(T value, Class<T> type, String hex) {
    RecordCodec<T> codec = RecordCodec.of(type);
    assertThat(HexFormat.of().formatHex(codec.encode(value))).isEqualTo(hex);
    assertThat(codec.decode(bytes(hex))).isEqualTo(value);
  }

  private static byte[] bytes(String hex) {
    return HexFormat.of().parseHex(hex);
  }

  private static void assertCorrupt(Class<?> type, byte[] bytes, String message) {
    assertThatThrownBy(() -> RecordCodec.of(type).decode(bytes))
        .isInstanceOfSatisfying(
            ForebayException.class,
            refused -> assertThat(refused.code()).isEqualTo(ErrorCode.CORRUPT))
        .hasMessageContaining("decoding " + type.getSimpleName())
        .hasMessageContaining(message);
  }
}
