package io.forebay.core.id;

import java.util.regex.Pattern;

/**
 * A node, by the name that its configuration gives it.
 *
 * @param name 1–63 of lower-case letters, digits, '.', '-', '_', beginning with a letter or digit
 */
public record NodeId(String name) implements Comparable<NodeId> {
  private static final Pattern FORM = Pattern.compile("[a-z0-9][a-z0-9._-]{0,62}");

  public NodeId {
    if (!FORM.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "a node name has 1 to 63 of a-z 0-9 . - _ and begins with a letter or digit: '"
              + name
              + "'");
    }
  }

  @Override
  public int compareTo(NodeId other) {
    return name.compareTo(other.name);
  }

  @Override
  public String toString() {
    return name;
  }
}
