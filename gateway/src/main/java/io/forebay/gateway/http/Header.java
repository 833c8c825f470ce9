package io.forebay.gateway.http;

/** A header of a request (lower-case name) or of an answer. */
public record Header(String name, String value) {}
