package io.forebay.core.codec;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;

/**
 * Turns values of one type into bytes and back. The type is a record, or a sealed interface of
 * records that carry a {@link Tag} each; the layout follows from the declaration, drawn in {@code
 * docs/formats/records.md}, and equal values give equal bytes.
 *
 * <p>Growth: a new field goes to the end of an outermost record. Bytes of an older writer, which
 * end before it, give 0, false, "", an empty list, map or {@code Optional}; the first field is
 * never missing, nor is one of another type. A record that stands inside another cannot grow: give
 * it a successor with a new tag or field. Bytes left over are CORRUPT: versions are agreed upon
 * before a newer layout is sent.
 *
 * @param <T> the values' type
 */
public final class RecordCodec<T> {
  private static final ClassValue<RecordCodec<?>> CODECS =
      new ClassValue<>() {
        @Override
        protected RecordCodec<?> computeValue(Class<?> type) {
          // Looked at once: the JDK answers isSealed by reflection, each time anew.
          if (!type.isRecord() && !type.isSealed()) {
            throw new IllegalArgumentException(
                type.getName() + " is neither a record nor a sealed interface of records");
          }
          return new RecordCodec<>(type, new ShapeFactory().shapeOf(type));
        }
      };

  private final Class<T> type;
  private final Shape shape;

  private RecordCodec(Class<T> type, Shape shape) {
    this.type = type;
    this.shape = shape;
  }

  /**
   * The codec of a type; derived on first use, remembered with the class.
   *
   * @throws IllegalArgumentException when the type has no layout, saying which field of which
   *     record
   */
  @SuppressWarnings("unchecked") // the codec under a class is that class's
  public static <T> RecordCodec<T> of(Class<T> type) {
    return (RecordCodec<T>) CODECS.get(type);
  }

  /**
   * The bytes of a value, as a new array.
   *
   * @throws IllegalArgumentException for a null field, or a string that is no UTF-16
   */
  public byte[] encode(T value) {
    var out = new Writer();
    shape.write(out, value);
    return out.toArray();
  }

  /**
   * The value of bytes; arrays in it are its own.
   *
   * @throws ForebayException CORRUPT when they are not the bytes of a value, with the record, the
   *     field and the position
   */
  public T decode(byte[] bytes) {
    var in = new Reader(bytes);
    try {
      T value = type.cast(shape.readWhole(in));
      if (in.remaining() > 0) {
        throw new Malformed(in.remaining() + " bytes too many", in.position());
      }
      return value;
    } catch (Malformed malformed) {
      throw new ForebayException(
          ErrorCode.CORRUPT,
          "decoding "
              + type.getSimpleName()
              + " from "
              + bytes.length
              + " bytes: "
              + malformed.describe(),
          malformed);
    }
  }
}
