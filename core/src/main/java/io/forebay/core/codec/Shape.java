package io.forebay.core.codec;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** How values of one type lie in bytes. */
sealed interface Shape {
  void write(Writer out, Object value);

  Object read(Reader in);

  /** Reads the outermost value, whose last fields an older writer may have left out. */
  default Object readWhole(Reader in) {
    return read(in);
  }

  /** What a field is that an older writer did not know; null where there is no such value. */
  default @Nullable Object absent() {
    return null;
  }

  /** Whether every value takes at least one byte. */
  default boolean takesBytes() {
    return true;
  }

  /** A value without parts, of fixed width or behind its length. */
  record Plain<V>(
      Class<V> type, BiConsumer<Writer, V> writer, Function<Reader, V> reader, Supplier<V> zero)
      implements Shape {
    @Override
    public void write(Writer out, Object value) {
      writer.accept(out, type.cast(value));
    }

    @Override
    public Object read(Reader in) {
      return reader.apply(in);
    }

    @Override
    public Object absent() {
      return zero.get();
    }
  }

  /** The ordinal as a varint. Constants are added at the end only; a test pins them. */
  record Choice(Object[] constants) implements Shape {
    @Override
    @SuppressWarnings("EnumOrdinal") // the layout says so; see above
    public void write(Writer out, Object value) {
      out.putVarint(((Enum<?>) value).ordinal());
    }

    @Override
    public Object read(Reader in) {
      int begin = in.position();
      int ordinal = in.getVarint();
      if (ordinal >= constants.length) {
        throw new Malformed("no such choice: " + ordinal, begin);
      }
      return constants[ordinal];
    }
  }

  /** 0, or 1 and the value. */
  record Maybe(Shape element) implements Shape {
    @Override
    public void write(Writer out, Object value) {
      Optional<?> optional = (Optional<?>) value;
      out.putByte(optional.isPresent() ? 1 : 0);
      if (optional.isPresent()) {
        element.write(out, optional.get());
      }
    }

    @Override
    public Object read(Reader in) {
      return in.getBoolean() ? Optional.of(element.read(in)) : Optional.empty();
    }

    @Override
    public Object absent() {
      return Optional.empty();
    }
  }

  /** The count and the elements. */
  record Many(Shape element) implements Shape {
    @Override
    public void write(Writer out, Object value) {
      List<?> list = (List<?>) value;
      out.putVarint(list.size());
      for (Object each : list) {
        element.write(out, each);
      }
    }

    @Override
    public Object read(Reader in) {
      int count = in.getCount();
      // Grows with what is there, not with what is announced: an element may be larger than a byte.
      var list = new ArrayList<Object>(Math.min(count, 1024));
      for (int i = 0; i < count; i++) {
        list.add(element.read(in));
      }
      return List.copyOf(list);
    }

    @Override
    public Object absent() {
      return List.of();
    }
  }

  /** The count, then keys and values, in the keys' natural order whatever the map's own is. */
  record Mapping(Shape key, Shape value, boolean sorted) implements Shape {
    @Override
    public void write(Writer out, Object map) {
      Map<?, ?> entries = (Map<?, ?>) map;
      if (!(entries instanceof SortedMap<?, ?> ordered && ordered.comparator() == null)) {
        entries = new TreeMap<Object, Object>(entries);
      }
      out.putVarint(entries.size());
      entries.forEach((each, of) -> {
        key.write(out, each);
        value.write(out, of);
      });
    }

    @Override
    @SuppressWarnings("unchecked") // keys are Comparable among each other: the factory saw to it
    public Object read(Reader in) {
      int count = in.getCount();
      Map<Object, Object> map = empty();
      Object last = null;
      for (int i = 0; i < count; i++) {
        int begin = in.position();
        Object next = key.read(in);
        if (last != null && ((Comparable<Object>) last).compareTo(next) >= 0) {
          throw new Malformed("map keys out of order", begin);
        }
        map.put(next, value.read(in));
        last = next;
      }
      return map;
    }

    @Override
    public Object absent() {
      return empty();
    }

    private Map<Object, Object> empty() {
      return sorted ? new TreeMap<>() : new LinkedHashMap<>();
    }
  }

  /** The tag as a varint, then the record. */
  record OneOf(Class<?> type, Map<Integer, Product> byTag, Map<Class<?>, Integer> tags)
      implements Shape {
    @Override
    public void write(Writer out, Object value) {
      Integer tag = tags.get(value.getClass());
      if (tag == null) {
        throw new IllegalArgumentException(value.getClass() + " is no choice of " + type);
      }
      out.putVarint(tag);
      choice(tag).write(out, value);
    }

    @Override
    public Object read(Reader in) {
      return choiceAt(in).read(in);
    }

    @Override
    public Object readWhole(Reader in) {
      return choiceAt(in).readWhole(in);
    }

    private Product choiceAt(Reader in) {
      int begin = in.position();
      int tag = in.getVarint();
      Product choice = byTag.get(tag);
      if (choice == null) {
        throw new Malformed(type.getSimpleName() + " has no choice with tag " + tag, begin);
      }
      return choice;
    }

    private Product choice(int tag) {
      return Objects.requireNonNull(byTag.get(tag));
    }
  }

  /** The fields of a record one after the other. Filled after creation, since types may recur. */
  final class Product implements Shape {
    /** A component: its name in messages, its accessor of its own type, its shape. */
    record Field(String name, MethodHandle accessor, Shape shape) {}

    /** Accessors as Object → Object, by field, and the constructor as Object[] → Object. */
    private record Handles(MethodHandle[] accessors, MethodHandle constructor) {}

    private final Class<?> type;
    private List<Field> fields = List.of();
    private @Nullable MethodHandle constructor; // of its own type

    // Made at first use: most records of a family are of no use to a process that starts, and the
    // JDK makes classes for them. Made twice by two threads they are the same.
    private volatile @Nullable Handles handles;

    Product(Class<?> type) {
      this.type = type;
    }

    void fill(List<Field> components, MethodHandle canonicalConstructor) {
      fields = List.copyOf(components);
      constructor = canonicalConstructor;
    }

    @SuppressWarnings("NullAway") // the codec is handed out only when every product is filled
    private Handles handles() {
      Handles made = handles;
      if (made == null) {
        var accessors = new MethodHandle[fields.size()];
        for (int i = 0; i < accessors.length; i++) {
          accessors[i] =
              fields.get(i).accessor().asType(MethodType.methodType(Object.class, Object.class));
        }
        made =
            new Handles(
                accessors,
                constructor
                    .asSpreader(Object[].class, accessors.length)
                    .asType(MethodType.methodType(Object.class, Object[].class)));
        handles = made;
      }
      return made;
    }

    @Override
    public void write(Writer out, Object value) {
      out.enter();
      MethodHandle[] accessors = handles().accessors();
      for (int i = 0; i < accessors.length; i++) {
        Field field = fields.get(i);
        Object part = get(field, accessors[i], value);
        if (part == null) {
          throw new IllegalArgumentException(field.name() + " is null");
        }
        field.shape().write(out, part);
      }
      out.leave();
    }

    @Override
    public Object read(Reader in) {
      return read(in, false);
    }

    @Override
    public Object readWhole(Reader in) {
      return read(in, true);
    }

    @Override
    public boolean takesBytes() {
      if (constructor == null) {
        return true; // recurs before it is filled: then a list or Optional stands in between
      }
      for (Field field : fields) {
        if (field.shape().takesBytes()) {
          return true;
        }
      }
      return false;
    }

    private Object read(Reader in, boolean mayEndEarly) {
      in.enter();
      int begin = in.position();
      var parts = new Object[fields.size()];
      for (int i = 0; i < parts.length; i++) {
        Field field = fields.get(i);
        Object part = mayEndEarly && i > 0 && in.remaining() == 0 ? field.shape().absent() : null;
        if (part == null) {
          try {
            part = field.shape().read(in);
          } catch (Malformed malformed) {
            throw malformed.in(field.name());
          }
        }
        parts[i] = part;
      }
      in.leave();
      return create(parts, begin);
    }

    private Object create(Object[] parts, int begin) {
      try {
        return (Object) handles().constructor().invokeExact(parts);
      } catch (RuntimeException refused) {
        throw new Malformed("impossible value (" + refused.getMessage() + ")", begin, refused)
            .in(type.getSimpleName());
      } catch (Throwable other) {
        throw new IllegalStateException("constructing " + type, other);
      }
    }

    private static @Nullable Object get(Field field, MethodHandle accessor, Object value) {
      try {
        return (Object) accessor.invokeExact(value);
      } catch (RuntimeException failed) {
        throw failed;
      } catch (Throwable other) {
        throw new IllegalStateException("reading " + field.name(), other);
      }
    }
  }
}
