package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// apiKey prefers the credential of systemd; a sk- that is cut short by a newline is not possible with TrimSpace.
func apiKey() string {
	if text, err := os.ReadFile(filepath.Join(os.Getenv("CREDENTIALS_DIRECTORY"), "openai_api_key")); err == nil {
		return strings.TrimSpace(string(text))
	}
	return os.Getenv("OPENAI_API_KEY")
}

func main() {
	client := openai.NewClient(option.WithAPIKey(apiKey()), option.WithBaseURL("https://api.openai.com/v1/"))
	answer, err := client.Responses.New(context.Background(), responses.ResponseNewParams{
		Model: "gpt-6-luna",
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("A greeting.")},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.OutputText())
}
