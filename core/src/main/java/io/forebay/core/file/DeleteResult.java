package io.forebay.core.file;

import io.forebay.core.error.ForebayException;
import java.util.Optional;

/**
 * What became of one key of a bulk delete.
 *
 * @param failure empty: deleted, or was absent
 */
public record DeleteResult(String key, Optional<ForebayException> failure) {}
