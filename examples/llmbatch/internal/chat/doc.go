// Package chat sends one request to an OpenAI-compatible API and says what came of it.
//
// [Client.Complete] makes exactly one attempt; repeating, waiting and giving up are the dispatcher's business. What an
// answer means is a table from status, error code and body to a [Class], and from the class to one of the marks of package
// policy, so that the dispatcher knows what to do: a throttle cools the key down, a refused key is set aside, a request that
// can never succeed fails at once.
//
// Codes and types are matched exactly. The text of a message is for people, and decides nothing.
package chat
