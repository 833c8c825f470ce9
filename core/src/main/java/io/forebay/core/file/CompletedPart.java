package io.forebay.core.file;

/**
 * A part as the completing client names it.
 *
 * @param etag without quotes
 */
public record CompletedPart(int number, String etag) {}
