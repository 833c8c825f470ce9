package io.forebay.core.codec;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Derives the shape of one type by reflection; used once, by one thread. */
final class ShapeFactory {
  // Looked up, never iterated: the order of classes differs from run to run.
  private final Map<Class<?>, Shape> known = new HashMap<>();

  /** The shape of a record or sealed interface, or IllegalArgument with what has none. */
  Shape shapeOf(Class<?> type) {
    return shape(type, type.getName());
  }

  private Shape shape(Type type, String where) {
    if (type instanceof ParameterizedType generic) {
      Type[] arguments = generic.getActualTypeArguments();
      Class<?> raw = (Class<?>) generic.getRawType();
      if (raw == Optional.class) {
        return new Shape.Maybe(shape(arguments[0], where));
      }
      if (raw == List.class) {
        return new Shape.Many(element(arguments[0], where));
      }
      if (raw == Map.class || raw == SortedMap.class) {
        if (!(arguments[0] instanceof Class<?> key && Comparable.class.isAssignableFrom(key))) {
          throw new IllegalArgumentException(where + ": the keys of a map must be Comparable");
        }
        return new Shape.Mapping(
            element(arguments[0], where), shape(arguments[1], where), raw == SortedMap.class);
      }
    }
    if (type instanceof Class<?> plain) {
      Shape known = known(plain, where);
      if (known != null) {
        return known;
      }
    }
    throw new IllegalArgumentException(
        where
            + ": "
            + type.getTypeName()
            + " has no layout (int, long, short, byte, boolean, double, String, byte[], enums,"
            + " Optional, OptionalLong, List, Map, SortedMap, records, sealed interfaces of records)");
  }

  private Shape element(Type type, String where) {
    Shape shape = shape(type, where);
    if (!shape.takesBytes()) {
      throw new IllegalArgumentException(where + ": an element that takes no bytes");
    }
    return shape;
  }

  private @Nullable Shape known(Class<?> type, String where) {
    Shape before = known.get(type);
    if (before != null) {
      return before;
    }
    Shape scalar = scalar(type);
    if (scalar != null) {
      return scalar;
    }
    if (type.isEnum()) {
      return new Shape.Choice(type.getEnumConstants());
    }
    if (type.isRecord() && type.getTypeParameters().length == 0) {
      return product(type);
    }
    if (type.isInterface() && type.isSealed()) {
      return oneOf(type, where);
    }
    return null;
  }

  private static @Nullable Shape scalar(Class<?> type) {
    if (type == int.class || type == Integer.class) {
      return new Shape.Plain<>(Integer.class, Writer::putInt, Reader::getInt, () -> 0);
    }
    if (type == long.class || type == Long.class) {
      return new Shape.Plain<>(Long.class, Writer::putLong, Reader::getLong, () -> 0L);
    }
    if (type == short.class || type == Short.class) {
      return new Shape.Plain<>(Short.class, Writer::putShort, Reader::getShort, () -> (short) 0);
    }
    if (type == byte.class || type == Byte.class) {
      return new Shape.Plain<>(
          Byte.class, (out, value) -> out.putByte(value), Reader::getByte, () -> (byte) 0);
    }
    if (type == boolean.class || type == Boolean.class) {
      return new Shape.Plain<>(
          Boolean.class,
          (out, value) -> out.putByte(value ? 1 : 0),
          Reader::getBoolean,
          () -> false);
    }
    if (type == double.class || type == Double.class) {
      return new Shape.Plain<>(
          Double.class,
          (out, value) -> out.putLong(Double.doubleToRawLongBits(value)),
          in -> Double.longBitsToDouble(in.getLong()),
          () -> 0.0);
    }
    if (type == String.class) {
      return new Shape.Plain<>(String.class, Writer::putString, Reader::getString, () -> "");
    }
    if (type == OptionalLong.class) {
      return new Shape.Plain<>(
          OptionalLong.class,
          (out, value) -> {
            out.putByte(value.isPresent() ? 1 : 0);
            if (value.isPresent()) {
              out.putLong(value.getAsLong());
            }
          },
          in -> in.getBoolean() ? OptionalLong.of(in.getLong()) : OptionalLong.empty(),
          OptionalLong::empty);
    }
    if (type == byte[].class) {
      return new Shape.Plain<>(byte[].class, Writer::putBytes, Reader::getBytes, () -> new byte[0]);
    }
    return null;
  }

  private Shape.Product product(Class<?> type) {
    var product = new Shape.Product(type);
    known.put(type, product);
    RecordComponent[] components = type.getRecordComponents();
    var fields = new ArrayList<Shape.Product.Field>();
    var parameters = new Class<?>[components.length];
    try {
      MethodHandles.Lookup lookup = MethodHandles.privateLookupIn(type, MethodHandles.lookup());
      for (int i = 0; i < components.length; i++) {
        RecordComponent component = components[i];
        parameters[i] = component.getType();
        String name = type.getSimpleName() + "." + component.getName();
        MethodHandle accessor =
            lookup.findVirtual(
                type, component.getName(), MethodType.methodType(component.getType()));
        fields.add(
            new Shape.Product.Field(name, accessor, shape(component.getGenericType(), name)));
      }
      MethodHandle constructor =
          lookup.findConstructor(type, MethodType.methodType(void.class, parameters));
      product.fill(fields, constructor);
    } catch (ReflectiveOperationException denied) {
      throw new IllegalArgumentException("no access to the record " + type.getName(), denied);
    }
    return product;
  }

  private Shape oneOf(Class<?> type, String where) {
    var byTag = new TreeMap<Integer, Shape.Product>();
    var tags = new HashMap<Class<?>, Integer>();
    var shape = new Shape.OneOf(type, byTag, tags);
    known.put(type, shape);
    for (Class<?> choice : choices(type, where)) {
      Tag tag = choice.getAnnotation(Tag.class);
      if (tag == null || tag.value() < 1 || tag.value() > 0xffff) {
        throw new IllegalArgumentException(
            choice.getName() + " needs a @Tag of 1 to 65535 as a choice of " + type.getName());
      }
      if (tags.putIfAbsent(choice, tag.value()) != null) {
        continue;
      }
      if (!(known(choice, where) instanceof Shape.Product product)) {
        throw new IllegalArgumentException(choice.getName() + " is a generic record");
      }
      Shape.Product other = byTag.putIfAbsent(tag.value(), product);
      if (other != null) {
        throw new IllegalArgumentException(
            "two choices of " + type.getName() + " have tag " + tag.value());
      }
    }
    return shape;
  }

  /** The records of a sealed interface and of the sealed interfaces below it, as declared. */
  private static List<Class<?>> choices(Class<?> type, String where) {
    var records = new ArrayList<Class<?>>();
    for (Class<?> permitted : type.getPermittedSubclasses()) {
      if (permitted.isRecord()) {
        records.add(permitted);
      } else if (permitted.isInterface() && permitted.isSealed()) {
        records.addAll(choices(permitted, where));
      } else {
        throw new IllegalArgumentException(
            where + ": " + permitted.getName() + " is no record, below " + type.getName());
      }
    }
    return records;
  }
}
