package io.forebay.core.codec;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The number by which a choice of a sealed interface is known in logs and on wires; never used
 * again.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
public @interface Tag {
  /** 1–65,535, different from that of every other choice of the same sealed interface. */
  int value();
}
