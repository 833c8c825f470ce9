package io.forebay.core.net;

/**
 * What is said in a call or a reply. Tags are unique over all sub-interfaces: data 1–99, control
 * 100–199, files 200–399, flush 400–499.
 */
public sealed interface Message permits DataMessage, ControlMessage, FileMessage, FlushMessage {}
